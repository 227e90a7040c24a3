//! A native histogram as JSON: count, sum and the buckets that have observations, each with its bounds.
//!
//! Source: Prometheus 3.5 `util/jsonutil/marshal.go` (`MarshalHistogram`), `web/api/v1/json_codec.go`.

use super::json::Json;
use crate::histogram::{HistogramBucket, NativeHistogram};

impl Json {
    /// A time and a histogram, which stand under `"histogram"` of a vector's element and in the list
    /// `"histograms"` of a matrix's, where floats have `"value"` and `"values"`.
    pub(super) fn histogram_at(&mut self, time_ms: i64, histogram: &NativeHistogram) {
        self.at(time_ms, |json| json.histogram(histogram));
    }

    /// `{"count":"3","sum":"2.5","buckets":[[0,"0.5","1","3"]]}`, from the lowest bucket to the highest; without
    /// `buckets` if none has observations.
    fn histogram(&mut self, histogram: &NativeHistogram) {
        self.raw(r#"{"count":"#);
        self.value(histogram.count);
        self.raw(r#","sum":"#);
        self.value(histogram.sum);
        let mut before = r#","buckets":["#;
        for bucket in histogram.ascending().filter(|bucket| bucket.count != 0.0) {
            self.raw(before);
            self.bucket(&bucket);
            before = ",";
        }
        self.raw(if before == "," { "]}" } else { "}" });
    }

    /// Which bounds are in it, the bounds, and its observations.
    fn bucket(&mut self, bucket: &HistogramBucket) {
        self.raw(match (bucket.has_lower, bucket.has_upper) {
            (false, true) => "[0",
            (true, false) => "[1",
            (false, false) => "[2",
            (true, true) => "[3",
        });
        for figure in [bucket.lower, bucket.upper, bucket.count] {
            self.raw(",");
            self.value(figure);
        }
        self.raw("]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::notation::{histogram, rows};

    /// Histograms, and what Prometheus 3.5.3 answered when it was asked for them.
    const ANSWERS: &str = r#"
{{schema:1 sum:7.3 count:24 z_bucket:2 z_bucket_w:0.001 buckets:[3 8 4] n_buckets:[5 2]}} = {"count":"24","sum":"7.3","buckets":[[1,"-1.414213562373095","-1","2"],[1,"-1","-0.7071067811865475","5"],[3,"-0.001","0.001","2"],[0,"0.7071067811865475","1","3"],[0,"1","1.414213562373095","8"],[0,"1.414213562373095","2","4"]]}
{{schema:-53 sum:19 count:19.5 custom_values:[-1 2.5 5] buckets:[2 3.5 7 7]}} = {"count":"19.5","sum":"19","buckets":[[3,"-Inf","-1","2"],[0,"-1","2.5","3.5"],[0,"2.5","5","7"],[0,"5","+Inf","7"]]}
{{schema:-53 sum:19 count:9 custom_values:[1 2.5 5] buckets:[2 0 7] offset:1}} = {"count":"9","sum":"19","buckets":[[0,"1","2.5","2"],[0,"5","+Inf","7"]]}
{{}} = {"count":"0","sum":"0"}
{{sum:3 count:7}} = {"count":"7","sum":"3"}
{{sum:0.2 count:2 z_bucket:2 z_bucket_w:0.75}} = {"count":"2","sum":"0.2","buckets":[[3,"-0.75","0.75","2"]]}
{{sum:5 count:6 z_bucket:1 z_bucket_w:0.001 buckets:[2 0 3] offset:-1}} = {"count":"6","sum":"5","buckets":[[3,"-0.001","0.001","1"],[0,"0.25","0.5","2"],[0,"1","2","3"]]}
{{schema:0 count:12 sum:9 z_bucket:4 z_bucket_w:0.75 buckets:[3 2] offset:0 n_buckets:[3] n_offset:0}} = {"count":"12","sum":"9","buckets":[[1,"-1","-0.75","3"],[3,"-0.75","0.75","4"],[0,"0.75","1","3"],[0,"1","2","2"]]}
{{sum:NaN count:10 buckets:[1 2 3 4]}} = {"count":"10","sum":"NaN","buckets":[[0,"0.5","1","1"],[0,"1","2","2"],[0,"2","4","3"],[0,"4","8","4"]]}
{{sum:+Inf count:10 buckets:[1 2 3 4]}} = {"count":"10","sum":"+Inf","buckets":[[0,"0.5","1","1"],[0,"1","2","2"],[0,"2","4","3"],[0,"4","8","4"]]}
{{sum:1e308 count:1.5e308 buckets:[1.5e308] offset:1024}} = {"count":"1.5e+308","sum":"1e+308","buckets":[[0,"8.98846567431158e+307","1.7976931348623157e+308","1.5e+308"]]}
{{sum:1e-320 count:1e-7 buckets:[1e-7] offset:-1075}} = {"count":"1e-07","sum":"1e-320","buckets":[[2,"0","0","1e-07"]]}
{{schema:8 sum:2 count:2 buckets:[2] offset:1}} = {"count":"2","sum":"2","buckets":[[0,"1","1.0027112750502025","2"]]}
{{sum:1e21 count:3 buckets:[1 2] offset:1024}} = {"count":"3","sum":"1e+21","buckets":[[0,"8.98846567431158e+307","1.7976931348623157e+308","1"],[0,"1.7976931348623157e+308","+Inf","2"]]}
{{sum:-5 count:3 z_bucket:3}} = {"count":"3","sum":"-5","buckets":[[3,"-0","0","3"]]}
"#;

    #[test]
    fn histograms_are_written_as_prometheus_writes_them() {
        for (notation, expected) in rows(ANSWERS) {
            let mut json = Json::success(1_000);
            json.histogram_at(1_005, &histogram(notation));
            let answer = format!(r#"{{"status":"success","data":[1.005,{expected}]}}"#);
            assert_eq!(json.finish(false), answer, "{notation}");
        }
    }
}
