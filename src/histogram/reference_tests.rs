//! The arithmetic against Prometheus: results that `promtool test rules` of Prometheus 3.5.3 printed for these
//! histograms, in the notation of its unit tests.

use super::{NativeHistogram, tests::histogram};

/// How far a result may be away where logarithms are taken, which C's and Go's libraries round differently.
const RELATIVE: f64 = 1e-12;

#[track_caller]
fn check(expression: &str, found: f64, expected: f64, relative: f64) {
    let is_near = (found - expected).abs() <= relative * expected.abs();
    let is_same = found == expected || found.is_nan() && expected.is_nan();
    assert!(is_same || is_near, "{expression}: {found:e}, Prometheus says {expected:e}");
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once(" = "))
}

fn named(name: &str) -> NativeHistogram {
    let found = rows(HISTOGRAMS).find(|(it, _)| *it == name.trim());
    histogram(found.unwrap_or_else(|| panic!("no histogram {name}")).1)
}

#[test]
fn the_histograms_are_valid() {
    for (name, notation) in rows(HISTOGRAMS) {
        assert_eq!(histogram(notation).validate(), Ok(()), "{name}");
    }
}

#[test]
fn estimates_are_those_of_prometheus() {
    for (expression, expected) in rows(ESTIMATES) {
        let (function, arguments) = expression.split_once('(').expect("a call");
        let arguments: Vec<&str> = arguments.trim_end_matches(')').split(',').collect();
        let (name, numbers) = arguments.split_last().expect("a histogram");
        let of = named(name);
        let (found, relative) = match (function, numbers) {
            ("histogram_quantile", [share]) => (of.quantile(number(share)).value, RELATIVE),
            ("histogram_fraction", [lower, upper]) => {
                (of.fraction(number(lower), number(upper)).value, RELATIVE)
            }
            // These take no logarithms, and are the same to the last bit; so are the bounds they are made of.
            ("histogram_avg", []) => (of.avg(), 0.0),
            ("histogram_stdvar", []) => (of.stdvar(), 0.0),
            ("histogram_stddev", []) => (of.stddev(), 0.0),
            _ => panic!("{expression}"),
        };
        check(expression, found, number(expected), relative);
    }
}

#[test]
fn operations_are_those_of_prometheus() {
    for (expression, expected) in rows(OPERATIONS) {
        let words: Vec<&str> = expression.split(' ').collect();
        let [left, operator, right] = words[..] else { panic!("{expression}") };
        let mut found = named(left);
        let done = match operator {
            "+" => found.add(&named(right)),
            "-" => found.sub(&named(right)),
            "*" => {
                found.multiply(number(right));
                Ok(())
            }
            _ => {
                found.divide(number(right));
                Ok(())
            }
        };
        if expected == "nil" {
            assert!(done.is_err(), "{expression}: {found:?}");
            assert_eq!(found, named(left), "{expression} changed it");
            continue;
        }
        done.unwrap_or_else(|error| panic!("{expression}: {error}"));
        found.compact();
        // The bits of a NaN are the machine's affair, and the notation has no zeros, of whichever sign.
        for figure in [&mut found.zero_count, &mut found.count, &mut found.sum] {
            *figure = if figure.is_nan() { f64::NAN } else { *figure + 0.0 };
        }
        let mut expected = histogram(expected);
        // The notation has one span a side, with empty buckets between those that are not.
        expected.compact();
        assert!(found.equals(&expected), "{expression}: {found:?}, Prometheus says {expected:?}");
        assert_eq!(found.reset_hint, expected.reset_hint, "{expression}");
    }
}

#[test]
fn resets_are_those_of_prometheus() {
    for (both, expected) in rows(RESETS) {
        let (previous, next) = both.split_once("}} ").expect("two histograms");
        let found = histogram(next).detect_reset(&histogram(previous));
        assert_eq!(found, number(expected) > 0.0, "{both}");
    }
}

/// The histograms, by the names that the tables below have for them.
const HISTOGRAMS: &str = "
plain = {{schema:1 count:12 sum:30 z_bucket:2 z_bucket_w:0.001 buckets:[1 2 3] offset:-1 n_buckets:[4]}}
pos0 = {{schema:0 count:10 sum:34.5 buckets:[1 2 4 3] offset:1}}
same1 = {{schema:1 count:10 sum:20 buckets:[4 3 2 1] offset:1}}
pos3 = {{schema:3 count:21 sum:40.25 z_bucket:1 z_bucket_w:0.5 buckets:[3 0 5 7 5] offset:4}}
pos8 = {{schema:8 count:15 sum:20.125 buckets:[1 2 3 4 5] offset:77}}
neg2 = {{schema:2 count:14 sum:-55 z_bucket:3 z_bucket_w:0.01 n_buckets:[5 4 2] n_offset:3}}
both5 = {{schema:5 count:31 sum:7 z_bucket:5 z_bucket_w:0.25 buckets:[4 3 2 1] offset:-20 n_buckets:[6 5 5] n_offset:-30}}
coarse = {{schema:-4 count:9 sum:123456 z_bucket:1 z_bucket_w:1e-128 buckets:[2 3 3] offset:-1}}
minus1 = {{schema:-1 count:16 sum:77 z_bucket:2 z_bucket_w:0.125 buckets:[4 5 2] offset:0 n_buckets:[1 2]}}
zero = {{count:5 sum:0.1 z_bucket:5 z_bucket_w:0.5}}
zeroboth = {{count:9 sum:0.1 z_bucket:5 z_bucket_w:0.5 buckets:[2] n_buckets:[2]}}
zeropos = {{count:9 sum:2.5 z_bucket:5 z_bucket_w:0.5 buckets:[4]}}
zeroneg = {{count:9 sum:-2.5 z_bucket:5 z_bucket_w:0.5 n_buckets:[4]}}
overlap = {{schema:0 count:12 sum:9 z_bucket:4 z_bucket_w:0.75 buckets:[3 2] offset:0 n_buckets:[3] n_offset:0}}
custom = {{schema:-53 count:20 sum:100 custom_values:[1 2.5 5 10] buckets:[3 5 4 6 2]}}
customneg = {{schema:-53 count:15 sum:-8 custom_values:[-5 -1 0 2] buckets:[2 3 4 5 1]}}
custommid = {{schema:-53 count:9 sum:33 custom_values:[1 2.5 5 10] buckets:[4 5] offset:1}}
customlast = {{schema:-53 count:4 sum:80 custom_values:[1 2.5 5 10] buckets:[4] offset:4}}
none = {{count:0 sum:0}}
nobuckets = {{count:7 sum:3}}
somenan = {{schema:0 count:14 sum:NaN z_bucket:1 z_bucket_w:0.01 buckets:[2 3 4]}}
infboth = {{schema:0 count:10 sum:NaN z_bucket:1 z_bucket_w:0.01 buckets:[2 3 4]}}
less = {{schema:0 count:8 sum:10 buckets:[2 3 4]}}
more = {{schema:0 count:19 sum:10 buckets:[2 3 4]}}
frac = {{schema:2 count:4.2 sum:7.3 buckets:[0.7 1.4 2.1] offset:2}}
hugeb = {{schema:0 count:6 sum:1e308 buckets:[1 2 3] offset:1023}}
tiny = {{schema:0 count:6 sum:1e-320 buckets:[1 2 3] offset:-1075}}
gauge = {{schema:1 count:3 sum:5 counter_reset_hint:gauge buckets:[1 2]}}
customsum = {{schema:-53 count:9 sum:20 custom_values:[1 2.5 5 11] buckets:[4 5]}}
wide = {{schema:1 count:20 sum:50 z_bucket:2 z_bucket_w:1.2 buckets:[3 4 5] offset:1 n_buckets:[2 4] n_offset:1}}
holes = {{count:6 sum:5 z_bucket:1 z_bucket_w:0.001 buckets:[2 0 3] offset:-1}}
holesneg = {{count:6 sum:-5 z_bucket:1 z_bucket_w:0.001 n_buckets:[2 0 3] n_offset:-1}}
zeroonly = {{count:2 sum:0.2 z_bucket:2 z_bucket_w:0.75}}
cutneg = {{count:9 sum:0.2 z_bucket:2 z_bucket_w:0.1 buckets:[1 3] offset:1 n_buckets:[3]}}
lessone = {{count:8 sum:10 buckets:[9]}}
negzero = {{count:5 sum:3 z_bucket:-2 z_bucket_w:0.5 buckets:[3 4]}}
fine = {{schema:4 count:24 sum:30 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 3 4 5] offset:-2 n_buckets:[2 3 3] n_offset:7}}
";

/// Estimates: what promtool evaluated.
const ESTIMATES: &str = "
histogram_quantile(-1, plain) = -Inf
histogram_quantile(0, plain) = -1E+00
histogram_quantile(0.01, plain) = -9.896566564152068E-01
histogram_quantile(0.25, plain) = -7.711054127039704E-01
histogram_quantile(0.5, plain) = 5E-01
histogram_quantile(0.75, plain) = 1E+00
histogram_quantile(0.99, plain) = 1.3947436663504054E+00
histogram_quantile(1, plain) = 1.414213562373095E+00
histogram_quantile(2, plain) = +Inf
histogram_quantile(NaN, plain) = NaN
histogram_fraction(-Inf, +Inf, plain) = 1E+00
histogram_fraction(0, 1.5, plain) = 5.833333333333334E-01
histogram_fraction(-1, 1, plain) = 7.5E-01
histogram_fraction(0.3, +Inf, plain) = 5E-01
histogram_fraction(2, 1, plain) = 0E+00
histogram_fraction(-Inf, -0.75, plain) = 2.7669166618589575E-01
histogram_fraction(0.9, 1.1, plain) = 1.1941945968998417E-01
histogram_fraction(NaN, 1, plain) = NaN
histogram_stddev(plain) = 2.4398885631113933E+00
histogram_stdvar(plain) = 5.95305620040178E+00
histogram_avg(plain) = 2.5E+00
histogram_quantile(-1, pos0) = -Inf
histogram_quantile(0, pos0) = 1E+00
histogram_quantile(0.01, pos0) = 1.0717734625362931E+00
histogram_quantile(0.25, pos0) = 3.3635856610148585E+00
histogram_quantile(0.5, pos0) = 5.65685424949238E+00
histogram_quantile(0.75, pos0) = 8.979696386474982E+00
histogram_quantile(0.99, pos0) = 1.5634559494947936E+01
histogram_quantile(1, pos0) = 1.6E+01
histogram_quantile(2, pos0) = +Inf
histogram_quantile(NaN, pos0) = NaN
histogram_fraction(-Inf, +Inf, pos0) = 1E+00
histogram_fraction(0, 1.5, pos0) = 5.849625007211563E-02
histogram_fraction(-1, 1, pos0) = 0E+00
histogram_fraction(0.3, +Inf, pos0) = 1E+00
histogram_fraction(2, 1, pos0) = 0E+00
histogram_fraction(-Inf, -0.75, pos0) = 0E+00
histogram_fraction(0.9, 1.1, pos0) = 1.3750352374993502E-02
histogram_stddev(pos0) = 4.581612040353853E+00
histogram_stdvar(pos0) = 2.0991168888315404E+01
histogram_avg(pos0) = 3.45E+00
histogram_quantile(0, same1) = 1E+00
histogram_quantile(0.01, same1) = 1.008701983790399E+00
histogram_quantile(0.5, same1) = 1.5874010519681994E+00
histogram_quantile(0.9, same1) = 2.82842712474619E+00
histogram_quantile(1, same1) = 4E+00
histogram_fraction(0, 1.5, same1) = 4.509775004326938E-01
histogram_fraction(-1, 1, same1) = 0E+00
histogram_stddev(same1) = 7.126758261274768E-01
histogram_stdvar(same1) = 5.079068331464816E-01
histogram_avg(same1) = 2E+00
histogram_quantile(-1, pos3) = -Inf
histogram_quantile(0, pos3) = 0E+00
histogram_quantile(0.01, pos3) = 1.05E-01
histogram_quantile(0.25, pos3) = 1.5759808451078865E+00
histogram_quantile(0.5, pos3) = 1.71330941015407E+00
histogram_quantile(0.75, pos3) = 1.8283416904351868E+00
histogram_quantile(0.99, pos3) = 1.9927351810416838E+00
histogram_quantile(1, pos3) = 2E+00
histogram_quantile(2, pos3) = +Inf
histogram_quantile(NaN, pos3) = NaN
histogram_fraction(-Inf, +Inf, pos3) = 1E+00
histogram_fraction(0, 1.5, pos3) = 1.9047619047619047E-01
histogram_fraction(-1, 1, pos3) = 4.7619047619047616E-02
histogram_fraction(0.3, +Inf, pos3) = 9.714285714285713E-01
histogram_fraction(2, 1, pos3) = 0E+00
histogram_fraction(-Inf, -0.75, pos3) = 0E+00
histogram_fraction(0.9, 1.1, pos3) = 0E+00
histogram_stddev(pos3) = 5.010175365215965E-01
histogram_stdvar(pos3) = 2.5101857190216936E-01
histogram_avg(pos3) = 1.9166666666666667E+00
histogram_quantile(-1, pos8) = -Inf
histogram_quantile(0, pos8) = 1.2284805361068698E+00
histogram_quantile(0.01, pos8) = 1.2289795736624392E+00
histogram_quantile(0.25, pos8) = 1.2359874226328982E+00
histogram_quantile(0.5, pos8) = 1.2397580505647878E+00
histogram_quantile(0.75, pos8) = 1.2426987121144633E+00
histogram_quantile(0.99, pos8) = 1.2451236869300064E+00
histogram_quantile(1, pos8) = 1.245224830175258E+00
histogram_quantile(2, pos8) = +Inf
histogram_quantile(NaN, pos8) = NaN
histogram_fraction(-Inf, +Inf, pos8) = 1E+00
histogram_fraction(0, 1.5, pos8) = 1E+00
histogram_fraction(-1, 1, pos8) = 0E+00
histogram_fraction(0.3, +Inf, pos8) = 1E+00
histogram_fraction(2, 1, pos8) = 0E+00
histogram_fraction(-Inf, -0.75, pos8) = 0E+00
histogram_fraction(0.9, 1.1, pos8) = 0E+00
histogram_stddev(pos8) = 1.0268580506028803E-01
histogram_stdvar(pos8) = 1.0544374560879475E-02
histogram_avg(pos8) = 1.3416666666666666E+00
histogram_quantile(-1, neg2) = -Inf
histogram_quantile(0, neg2) = -2.378414230005442E+00
histogram_quantile(0.01, neg2) = -2.3497381585160753E+00
histogram_quantile(0.25, neg2) = -1.8741676341102997E+00
histogram_quantile(0.5, neg2) = -1.624504792712471E+00
histogram_quantile(0.75, neg2) = -1.4389335800108198E+00
histogram_quantile(0.99, neg2) = -4.666666666666673E-04
histogram_quantile(1, neg2) = 0E+00
histogram_quantile(2, neg2) = +Inf
histogram_quantile(NaN, neg2) = NaN
histogram_fraction(-Inf, +Inf, neg2) = 1E+00
histogram_fraction(0, 1.5, neg2) = 0E+00
histogram_fraction(-1, 1, neg2) = 2.1428571428571427E-01
histogram_fraction(0.3, +Inf, neg2) = 0E+00
histogram_fraction(2, 1, neg2) = 0E+00
histogram_fraction(-Inf, -0.75, neg2) = 7.857142857142857E-01
histogram_fraction(0.9, 1.1, neg2) = 0E+00
histogram_stddev(neg2) = 2.651566802537321E+00
histogram_stdvar(neg2) = 7.030806508317991E+00
histogram_avg(neg2) = -3.9285714285714284E+00
histogram_quantile(-1, both5) = -Inf
histogram_quantile(0, both5) = -5.452538663326288E-01
histogram_quantile(0.01, both5) = -5.445220967793478E-01
histogram_quantile(0.25, both5) = -5.272512443509745E-01
histogram_quantile(0.5, both5) = -5.118717055780156E-01
histogram_quantile(0.75, both5) = 6.423039728042746E-01
histogram_quantile(0.99, both5) = 6.873241231896817E-01
histogram_quantile(1, both5) = 6.919549409819159E-01
histogram_quantile(2, both5) = +Inf
histogram_quantile(NaN, both5) = NaN
histogram_fraction(-Inf, +Inf, both5) = 1E+00
histogram_fraction(0, 1.5, both5) = 4.032258064516129E-01
histogram_fraction(-1, 1, both5) = 1E+00
histogram_fraction(0.3, +Inf, both5) = 3.225806451612903E-01
histogram_fraction(2, 1, both5) = 0E+00
histogram_fraction(-Inf, -0.75, both5) = 0E+00
histogram_fraction(0.9, 1.1, both5) = 0E+00
histogram_stddev(both5) = 6.004856752755802E-01
histogram_stdvar(both5) = 3.605830462111695E-01
histogram_avg(both5) = 2.2580645161290322E-01
histogram_quantile(-1, coarse) = -Inf
histogram_quantile(0, coarse) = 0E+00
histogram_quantile(0.01, coarse) = 9E-130
histogram_quantile(0.25, coarse) = 2.384185791015625E-07
histogram_quantile(0.5, coarse) = 3.90625E-03
histogram_quantile(0.75, coarse) = 1.6E+01
histogram_quantile(0.99, coarse) = 4.698784556698268E+04
histogram_quantile(1, coarse) = 6.5536E+04
histogram_quantile(2, coarse) = +Inf
histogram_quantile(NaN, coarse) = NaN
histogram_fraction(-Inf, +Inf, coarse) = 1E+00
histogram_fraction(0, 1.5, coarse) = 6.788533854316907E-01
histogram_fraction(-1, 1, coarse) = 6.666666666666666E-01
histogram_fraction(0.3, +Inf, coarse) = 3.6952011654512934E-01
histogram_fraction(2, 1, coarse) = 0E+00
histogram_fraction(-Inf, -0.75, coarse) = 0E+00
histogram_fraction(0.9, 1.1, coarse) = 6.031387858228913E-03
histogram_stddev(coarse) = 1.3632532847309594E+04
histogram_stdvar(coarse) = 1.8584595183297503E+08
histogram_avg(coarse) = 1.3717333333333334E+04
histogram_quantile(0, minus1) = -4E+00
histogram_quantile(0.01, minus1) = -3.58010028371189E+00
histogram_quantile(0.5, minus1) = 7.071067811865475E-01
histogram_quantile(0.9, minus1) = 5.278031643091579E+00
histogram_quantile(1, minus1) = 1.6E+01
histogram_fraction(0, 1.5, minus1) = 4.039003907376807E-01
histogram_fraction(-1, 1, minus1) = 4.375E-01
histogram_stddev(minus1) = 4.341838608239602E+00
histogram_stdvar(minus1) = 1.88515625E+01
histogram_avg(minus1) = 4.8125E+00
histogram_quantile(-1, zero) = -Inf
histogram_quantile(0, zero) = -5E-01
histogram_quantile(0.01, zero) = -4.9E-01
histogram_quantile(0.25, zero) = -2.5E-01
histogram_quantile(0.5, zero) = 0E+00
histogram_quantile(0.75, zero) = 2.5E-01
histogram_quantile(0.99, zero) = 4.9E-01
histogram_quantile(1, zero) = 5E-01
histogram_quantile(2, zero) = +Inf
histogram_quantile(NaN, zero) = NaN
histogram_fraction(-Inf, +Inf, zero) = 1E+00
histogram_fraction(0, 1.5, zero) = 5E-01
histogram_fraction(-1, 1, zero) = 1E+00
histogram_fraction(0.3, +Inf, zero) = 2E-01
histogram_fraction(2, 1, zero) = 0E+00
histogram_fraction(-Inf, -0.75, zero) = 0E+00
histogram_fraction(0.9, 1.1, zero) = 0E+00
histogram_stddev(zero) = 2E-02
histogram_stdvar(zero) = 4E-04
histogram_avg(zero) = 2E-02
histogram_quantile(-1, zeroboth) = -Inf
histogram_quantile(0, zeroboth) = -1E+00
histogram_quantile(0.01, zeroboth) = -9.69289816935065E-01
histogram_quantile(0.25, zeroboth) = -4.5E-01
histogram_quantile(0.5, zeroboth) = 0E+00
histogram_quantile(0.75, zeroboth) = 4.4999999999999996E-01
histogram_quantile(0.99, zeroboth) = 9.69289816935065E-01
histogram_quantile(1, zeroboth) = 1E+00
histogram_quantile(2, zeroboth) = +Inf
histogram_quantile(NaN, zeroboth) = NaN
histogram_fraction(-Inf, +Inf, zeroboth) = 1E+00
histogram_fraction(0, 1.5, zeroboth) = 5E-01
histogram_fraction(-1, 1, zeroboth) = 1E+00
histogram_fraction(0.3, +Inf, zeroboth) = 3.333333333333333E-01
histogram_fraction(2, 1, zeroboth) = 0E+00
histogram_fraction(-Inf, -0.75, zeroboth) = 9.22305553952986E-02
histogram_fraction(0.9, 1.1, zeroboth) = 3.3778465210011016E-02
histogram_stddev(zeroboth) = 4.715354483093988E-01
histogram_stdvar(zeroboth) = 2.223456790123457E-01
histogram_avg(zeroboth) = 1.1111111111111112E-02
histogram_quantile(0, zeropos) = 0E+00
histogram_quantile(0.01, zeropos) = 9E-03
histogram_quantile(0.5, zeropos) = 4.5E-01
histogram_quantile(0.9, zeropos) = 8.555950256826022E-01
histogram_quantile(1, zeropos) = 1E+00
histogram_fraction(0, 1.5, zeropos) = 1E+00
histogram_fraction(-1, 1, zeropos) = 1E+00
histogram_stddev(zeropos) = 3.5325408573679845E-01
histogram_stdvar(zeropos) = 1.2478844908974136E-01
histogram_avg(zeropos) = 2.777777777777778E-01
histogram_quantile(0, zeroneg) = -1E+00
histogram_quantile(0.01, zeroneg) = -9.84525173337414E-01
histogram_quantile(0.5, zeroneg) = -4.5E-01
histogram_quantile(0.9, zeroneg) = -8.999999999999997E-02
histogram_quantile(1, zeroneg) = 0E+00
histogram_fraction(0, 1.5, zeroneg) = 0E+00
histogram_fraction(-1, 1, zeroneg) = 1E+00
histogram_stddev(zeroneg) = 3.5325408573679845E-01
histogram_stdvar(zeroneg) = 1.2478844908974136E-01
histogram_avg(zeroneg) = -2.777777777777778E-01
histogram_quantile(-1, overlap) = -Inf
histogram_quantile(0, overlap) = -1E+00
histogram_quantile(0.01, overlap) = -9.885586726496457E-01
histogram_quantile(0.25, overlap) = -7.5E-01
histogram_quantile(0.5, overlap) = 3.75E-01
histogram_quantile(0.75, overlap) = 9.085602964160698E-01
histogram_quantile(0.99, overlap) = 1.9185282386505287E+00
histogram_quantile(1, overlap) = 2E+00
histogram_quantile(2, overlap) = +Inf
histogram_quantile(NaN, overlap) = NaN
histogram_fraction(-Inf, +Inf, overlap) = 1E+00
histogram_fraction(0, 1.5, overlap) = 5.141604167868593E-01
histogram_fraction(-1, 1, overlap) = 8.333333333333334E-01
histogram_fraction(0.3, +Inf, overlap) = 5.166666666666666E-01
histogram_fraction(2, 1, overlap) = 0E+00
histogram_fraction(-Inf, -0.75, overlap) = 2.5E-01
histogram_fraction(0.9, 1.1, overlap) = 1.1447710921788683E-01
histogram_stddev(overlap) = 9.577473271902457E-01
histogram_stdvar(overlap) = 9.172799427400595E-01
histogram_avg(overlap) = 7.5E-01
histogram_quantile(-1, custom) = -Inf
histogram_quantile(0, custom) = 0E+00
histogram_quantile(0.01, custom) = 6.666666666666667E-02
histogram_quantile(0.25, custom) = 1.6E+00
histogram_quantile(0.5, custom) = 3.75E+00
histogram_quantile(0.75, custom) = 7.5E+00
histogram_quantile(0.99, custom) = 1E+01
histogram_quantile(1, custom) = 1E+01
histogram_quantile(2, custom) = +Inf
histogram_quantile(NaN, custom) = NaN
histogram_fraction(-Inf, +Inf, custom) = 1E+00
histogram_fraction(0, 1.5, custom) = 2.3333333333333334E-01
histogram_fraction(-1, 1, custom) = 1.5E-01
histogram_fraction(0.3, +Inf, custom) = 9.550000000000001E-01
histogram_fraction(2, 1, custom) = 0E+00
histogram_fraction(-Inf, -0.75, custom) = 0E+00
histogram_fraction(0.9, 1.1, custom) = 3.166666666666666E-02
histogram_stddev(custom) = +Inf
histogram_stdvar(custom) = +Inf
histogram_avg(custom) = 5E+00
histogram_quantile(-1, customneg) = -Inf
histogram_quantile(0, customneg) = -5E+00
histogram_quantile(0.01, customneg) = -5E+00
histogram_quantile(0.25, customneg) = -2.6666666666666665E+00
histogram_quantile(0.5, customneg) = -3.75E-01
histogram_quantile(0.75, customneg) = 9E-01
histogram_quantile(0.99, customneg) = 2E+00
histogram_quantile(1, customneg) = 2E+00
histogram_quantile(2, customneg) = +Inf
histogram_quantile(NaN, customneg) = NaN
histogram_fraction(-Inf, +Inf, customneg) = 1E+00
histogram_fraction(0, 1.5, customneg) = 5.166666666666667E-01
histogram_fraction(-1, 1, customneg) = 4.3333333333333335E-01
histogram_fraction(0.3, +Inf, customneg) = 3.5E-01
histogram_fraction(2, 1, customneg) = 0E+00
histogram_fraction(-Inf, -0.75, customneg) = 3.333333333333333E-01
histogram_fraction(0.9, 1.1, customneg) = 3.333333333333333E-02
histogram_stddev(customneg) = +Inf
histogram_stdvar(customneg) = +Inf
histogram_avg(customneg) = -5.333333333333333E-01
histogram_quantile(0, custommid) = 1E+00
histogram_quantile(0.01, custommid) = 1.03375E+00
histogram_quantile(0.5, custommid) = 2.75E+00
histogram_quantile(0.9, custommid) = 4.550000000000001E+00
histogram_quantile(1, custommid) = 5E+00
histogram_fraction(0, 1.5, custommid) = 1.4814814814814814E-01
histogram_fraction(-1, 1, custommid) = 0E+00
histogram_stddev(custommid) = 1.2792865488521616E+00
histogram_stdvar(custommid) = 1.636574074074074E+00
histogram_avg(custommid) = 3.6666666666666665E+00
histogram_quantile(0, customlast) = 1E+01
histogram_quantile(0.01, customlast) = 1E+01
histogram_quantile(0.5, customlast) = 1E+01
histogram_quantile(0.9, customlast) = 1E+01
histogram_quantile(1, customlast) = 1E+01
histogram_fraction(0, 1.5, customlast) = 0E+00
histogram_fraction(-1, 1, customlast) = 0E+00
histogram_stddev(customlast) = +Inf
histogram_stdvar(customlast) = +Inf
histogram_avg(customlast) = 2E+01
histogram_quantile(-1, none) = -Inf
histogram_quantile(0, none) = NaN
histogram_quantile(0.01, none) = NaN
histogram_quantile(0.25, none) = NaN
histogram_quantile(0.5, none) = NaN
histogram_quantile(0.75, none) = NaN
histogram_quantile(0.99, none) = NaN
histogram_quantile(1, none) = NaN
histogram_quantile(2, none) = +Inf
histogram_quantile(NaN, none) = NaN
histogram_fraction(-Inf, +Inf, none) = NaN
histogram_fraction(0, 1.5, none) = NaN
histogram_fraction(-1, 1, none) = NaN
histogram_fraction(0.3, +Inf, none) = NaN
histogram_fraction(2, 1, none) = NaN
histogram_fraction(-Inf, -0.75, none) = NaN
histogram_fraction(0.9, 1.1, none) = NaN
histogram_stddev(none) = NaN
histogram_stdvar(none) = NaN
histogram_avg(none) = NaN
histogram_quantile(0, nobuckets) = NaN
histogram_quantile(0.01, nobuckets) = 0E+00
histogram_quantile(0.5, nobuckets) = 0E+00
histogram_quantile(0.9, nobuckets) = 0E+00
histogram_quantile(1, nobuckets) = NaN
histogram_fraction(0, 1.5, nobuckets) = 0E+00
histogram_fraction(-1, 1, nobuckets) = 0E+00
histogram_stddev(nobuckets) = 0E+00
histogram_stdvar(nobuckets) = 0E+00
histogram_avg(nobuckets) = 4.2857142857142855E-01
histogram_quantile(-1, somenan) = -Inf
histogram_quantile(0, somenan) = 2E+00
histogram_quantile(0.01, somenan) = 2.049113646065603E+00
histogram_quantile(0.25, somenan) = 2.1810154653305154E+00
histogram_quantile(0.5, somenan) = 2.378414230005442E+00
histogram_quantile(0.75, somenan) = NaN
histogram_quantile(0.99, somenan) = NaN
histogram_quantile(1, somenan) = NaN
histogram_quantile(2, somenan) = +Inf
histogram_quantile(NaN, somenan) = NaN
histogram_fraction(-Inf, +Inf, somenan) = 7.142857142857143E-01
histogram_fraction(0, 1.5, somenan) = 3.3963482158310493E-01
histogram_fraction(-1, 1, somenan) = 2.1428571428571427E-01
histogram_fraction(0.3, +Inf, somenan) = 6.428571428571429E-01
histogram_fraction(2, 1, somenan) = 0E+00
histogram_fraction(-Inf, -0.75, somenan) = 0E+00
histogram_fraction(0.9, 1.1, somenan) = 5.117976843856464E-02
histogram_stddev(somenan) = NaN
histogram_stdvar(somenan) = NaN
histogram_avg(somenan) = NaN
histogram_quantile(0, infboth) = 2E+00
histogram_quantile(0.01, infboth) = 2.0349593842053726E+00
histogram_quantile(0.5, infboth) = 2.82842712474619E+00
histogram_quantile(0.9, infboth) = 3.3635856610148585E+00
histogram_quantile(1, infboth) = 4E+00
histogram_fraction(0, 1.5, infboth) = 4.754887502163469E-01
histogram_fraction(-1, 1, infboth) = 3E-01
histogram_stddev(infboth) = NaN
histogram_stdvar(infboth) = NaN
histogram_avg(infboth) = NaN
histogram_quantile(-1, less) = -Inf
histogram_quantile(0, less) = 5E-01
histogram_quantile(0.01, less) = 5.140569133280333E-01
histogram_quantile(0.25, less) = 1E+00
histogram_quantile(0.5, less) = 2E+00
histogram_quantile(0.75, less) = 2.82842712474619E+00
histogram_quantile(0.99, less) = 3.944930817973437E+00
histogram_quantile(1, less) = 4E+00
histogram_quantile(2, less) = +Inf
histogram_quantile(NaN, less) = NaN
histogram_fraction(-Inf, +Inf, less) = 1E+00
histogram_fraction(0, 1.5, less) = 4.6936093777043364E-01
histogram_fraction(-1, 1, less) = 2.5E-01
histogram_fraction(0.3, +Inf, less) = 1E+00
histogram_fraction(2, 1, less) = 0E+00
histogram_fraction(-Inf, -0.75, less) = 0E+00
histogram_fraction(0.9, 1.1, less) = 8.95645947674881E-02
histogram_stddev(less) = 1.1530445095922768E+00
histogram_stdvar(less) = 1.3295116411008938E+00
histogram_avg(less) = 1.25E+00
histogram_quantile(-1, more) = -Inf
histogram_quantile(0, more) = 5E-01
histogram_quantile(0.01, more) = 5.340327040239258E-01
histogram_quantile(0.25, more) = 1.887748625363387E+00
histogram_quantile(0.5, more) = 1E+00
histogram_quantile(0.75, more) = 1.6817928305074292E+00
histogram_quantile(0.99, more) = 3.8704464805693766E+00
histogram_quantile(1, more) = 4E+00
histogram_quantile(2, more) = +Inf
histogram_quantile(NaN, more) = NaN
histogram_fraction(-Inf, +Inf, more) = 1E+00
histogram_fraction(0, 1.5, more) = 1.9762565800860363E-01
histogram_fraction(-1, 1, more) = 1.0526315789473684E-01
histogram_fraction(0.3, +Inf, more) = 1E+00
histogram_fraction(2, 1, more) = 0E+00
histogram_fraction(-Inf, -0.75, more) = 0E+00
histogram_fraction(0.9, 1.1, more) = 3.771140832315288E-02
histogram_stddev(more) = 1.1151899656605333E+00
histogram_stdvar(more) = 1.2436486595099416E+00
histogram_avg(more) = 5.263157894736842E-01
histogram_quantile(0, frac) = 1.189207115002721E+00
histogram_quantile(0.01, frac) = 1.2016360495268508E+00
histogram_quantile(0.5, frac) = 1.6817928305074288E+00
histogram_quantile(0.9, frac) = 1.931872657849691E+00
histogram_quantile(1, frac) = 2E+00
histogram_fraction(0, 1.5, frac) = 2.7995000096154193E-01
histogram_fraction(-1, 1, frac) = 0E+00
histogram_stddev(frac) = 2.232509081186087E-01
histogram_stdvar(frac) = 4.984096797578347E-02
histogram_avg(frac) = 1.738095238095238E+00
histogram_quantile(0, hugeb) = 4.49423283715579E+307
histogram_quantile(0.01, hugeb) = 4.685083853982584E+307
histogram_quantile(0.5, hugeb) = NaN
histogram_quantile(0.9, hugeb) = +Inf
histogram_quantile(1, hugeb) = +Inf
histogram_fraction(0, 1.5, hugeb) = 0E+00
histogram_fraction(-1, 1, hugeb) = 0E+00
histogram_stddev(hugeb) = +Inf
histogram_stdvar(hugeb) = +Inf
histogram_avg(hugeb) = 1.6666666666666666E+307
histogram_quantile(0, tiny) = 0E+00
histogram_quantile(0.01, tiny) = 0E+00
histogram_quantile(0.5, tiny) = 5E-324
histogram_quantile(0.9, tiny) = 1E-323
histogram_quantile(1, tiny) = 1E-323
histogram_fraction(0, 1.5, tiny) = 1E+00
histogram_fraction(-1, 1, tiny) = 1E+00
histogram_stddev(tiny) = 0E+00
histogram_stdvar(tiny) = 0E+00
histogram_avg(tiny) = 1.665E-321
histogram_quantile(0, gauge) = 7.071067811865475E-01
histogram_quantile(0.01, gauge) = 7.144970698705465E-01
histogram_quantile(0.5, gauge) = 1.0905077326652577E+00
histogram_quantile(0.9, gauge) = 1.3425725027802633E+00
histogram_quantile(1, gauge) = 1.414213562373095E+00
histogram_fraction(0, 1.5, gauge) = 1E+00
histogram_fraction(-1, 1, gauge) = 3.333333333333333E-01
histogram_stddev(gauge) = 6.158548949952638E-01
histogram_stdvar(gauge) = 3.7927725168962745E-01
histogram_avg(gauge) = 1.6666666666666667E+00
histogram_quantile(0, customsum) = 0E+00
histogram_quantile(0.01, customsum) = 2.25E-02
histogram_quantile(0.5, customsum) = 1.15E+00
histogram_quantile(0.9, customsum) = 2.23E+00
histogram_quantile(1, customsum) = 2.5E+00
histogram_fraction(0, 1.5, customsum) = 6.296296296296297E-01
histogram_fraction(-1, 1, customsum) = 4.444444444444444E-01
histogram_stddev(customsum) = +Inf
histogram_stdvar(customsum) = +Inf
histogram_avg(customsum) = 2.2222222222222223E+00
histogram_quantile(0, wide) = -2E+00
histogram_quantile(0.01, wide) = -1.9656411970905021E+00
histogram_quantile(0.5, wide) = 1.3388659001643388E+00
histogram_quantile(0.9, wide) = 2.4622888266898326E+00
histogram_quantile(1, wide) = 2.82842712474619E+00
histogram_fraction(0, 1.5, wide) = 2.3398500028846253E-01
histogram_fraction(-1, 1, wide) = 8.333333333333334E-02
histogram_stddev(wide) = 2.433341922595421E+00
histogram_stdvar(wide) = 5.92115291226038E+00
histogram_avg(wide) = 2.5E+00
histogram_quantile(0, holes) = 0E+00
histogram_quantile(0.01, holes) = 6E-05
histogram_quantile(0.5, holes) = 1E+00
histogram_quantile(0.9, holes) = 1.7411011265922485E+00
histogram_quantile(1, holes) = 2E+00
histogram_fraction(0, 1.5, holes) = 7.924812503605781E-01
histogram_fraction(-1, 1, holes) = 5E-01
histogram_stddev(holes) = 6.009835761515745E-01
histogram_stdvar(holes) = 3.6118125880393537E-01
histogram_avg(holes) = 8.333333333333334E-01
histogram_quantile(0, holesneg) = -2E+00
histogram_quantile(0.01, holesneg) = -1.9724654089867184E+00
histogram_quantile(0.5, holesneg) = -5E-01
histogram_quantile(0.9, holesneg) = -5.999999999999998E-04
histogram_quantile(1, holesneg) = 0E+00
histogram_fraction(0, 1.5, holesneg) = 0E+00
histogram_fraction(-1, 1, holesneg) = 5E-01
histogram_stddev(holesneg) = 6.009835761515745E-01
histogram_stdvar(holesneg) = 3.6118125880393537E-01
histogram_avg(holesneg) = -8.333333333333334E-01
histogram_quantile(0, zeroonly) = -7.5E-01
histogram_quantile(0.01, zeroonly) = -7.35E-01
histogram_quantile(0.5, zeroonly) = 0E+00
histogram_quantile(0.9, zeroonly) = 6.000000000000001E-01
histogram_quantile(1, zeroonly) = 7.5E-01
histogram_fraction(0, 1.5, zeroonly) = 5E-01
histogram_fraction(-1, 1, zeroonly) = 1E+00
histogram_stddev(zeroonly) = 1E-01
histogram_stdvar(zeroonly) = 1.0000000000000002E-02
histogram_avg(zeroonly) = 1E-01
histogram_quantile(0, cutneg) = -1E+00
histogram_quantile(0.01, cutneg) = -9.794202975869268E-01
histogram_quantile(0.5, cutneg) = 5.000000000000002E-02
histogram_quantile(0.9, cutneg) = 3.2490095854249423E+00
histogram_quantile(1, cutneg) = 4E+00
histogram_fraction(0, 1.5, cutneg) = 1.761069445245729E-01
histogram_fraction(-1, 1, cutneg) = 5.555555555555556E-01
histogram_stddev(cutneg) = 1.7371351829909292E+00
histogram_stdvar(cutneg) = 3.017638643984929E+00
histogram_avg(cutneg) = 2.2222222222222223E-02
histogram_quantile(-1, lessone) = -Inf
histogram_quantile(0, lessone) = 5.40029869446153E-01
histogram_quantile(0.01, lessone) = 5.43367431263029E-01
histogram_quantile(0.25, lessone) = 6.299605249474365E-01
histogram_quantile(0.5, lessone) = 6.803950000871885E-01
histogram_quantile(0.75, lessone) = 7.937005259840997E-01
histogram_quantile(0.99, lessone) = 9.201876506248751E-01
histogram_quantile(1, lessone) = 9.258747122872903E-01
histogram_quantile(2, lessone) = +Inf
histogram_quantile(NaN, lessone) = NaN
histogram_fraction(-Inf, +Inf, lessone) = 1E+00
histogram_fraction(0, 1.5, lessone) = 1E+00
histogram_fraction(-1, 1, lessone) = 1E+00
histogram_fraction(0.3, +Inf, lessone) = 1E+00
histogram_fraction(2, 1, lessone) = 0E+00
histogram_fraction(-Inf, -0.75, lessone) = 0E+00
histogram_fraction(0.9, 1.1, lessone) = 4.600348012568112E-02
histogram_stddev(lessone) = 5.758252147247765E-01
histogram_stdvar(lessone) = 3.31574677912835E-01
histogram_avg(lessone) = 1.25E+00
histogram_quantile(-1, negzero) = -Inf
histogram_quantile(0, negzero) = 5E-01
histogram_quantile(0.01, negzero) = 5.058097201509613E-01
histogram_quantile(0.25, negzero) = 6.674199270850172E-01
histogram_quantile(0.5, negzero) = 1.2968395546510096E+00
histogram_quantile(0.75, negzero) = 1.6104903319492543E+00
histogram_quantile(0.99, negzero) = 1.9827461749253243E+00
histogram_quantile(1, negzero) = 2E+00
histogram_quantile(2, negzero) = +Inf
histogram_quantile(NaN, negzero) = NaN
histogram_fraction(-Inf, +Inf, negzero) = 1E+00
histogram_fraction(0, 1.5, negzero) = 1E+00
histogram_fraction(-1, 1, negzero) = 6E-01
histogram_fraction(0.3, +Inf, negzero) = 1E+00
histogram_fraction(2, 1, negzero) = 0E+00
histogram_fraction(-Inf, -0.75, negzero) = 0E+00
histogram_fraction(0.9, 1.1, negzero) = 2.0120467506697795E-01
histogram_stddev(negzero) = 7.329652772591037E-01
histogram_stdvar(negzero) = 5.372380976675147E-01
histogram_avg(negzero) = 6E-01
histogram_quantile(0, fine) = -1.4768261459394991E+00
histogram_quantile(0.01, fine) = -1.4717167156256155E+00
histogram_quantile(0.5, fine) = 9.576032806985735E-01
histogram_quantile(0.9, fine) = 1.0680654080478515E+00
histogram_quantile(1, fine) = 1.0905077326652577E+00
histogram_fraction(0, 1.5, fine) = 6.458333333333334E-01
histogram_fraction(-1, 1, fine) = 2.916666666666667E-01
histogram_stddev(fine) = 1.5592085754826301E+00
histogram_stdvar(fine) = 2.4311313818585725E+00
histogram_avg(fine) = 1.25E+00
";

/// Operations: what promtool evaluated; `nil` is no sample, as the two are not compatible.
const OPERATIONS: &str = "
plain + plain = {{schema:1 count:24 sum:60 z_bucket:4 z_bucket_w:0.001 offset:-1 buckets:[2 4 6] n_buckets:[8]}}
plain + pos0 = {{count:22 sum:64.5 z_bucket:2 z_bucket_w:0.001 buckets:[3 4 2 4 3] n_buckets:[4]}}
pos0 + plain = {{count:22 sum:64.5 z_bucket:2 z_bucket_w:0.001 buckets:[3 4 2 4 3] n_buckets:[4]}}
pos3 + pos8 = {{schema:3 count:36 sum:60.375 z_bucket:1 z_bucket_w:0.5 offset:3 buckets:[15 3 0 5 7 5]}}
pos8 + pos3 = {{schema:3 count:36 sum:60.375 z_bucket:1 z_bucket_w:0.5 offset:3 buckets:[15 3 0 5 7 5]}}
plain + both5 = {{schema:1 count:43 sum:37 z_bucket:7 z_bucket_w:0.25 offset:-1 buckets:[11 2 3] n_offset:-1 n_buckets:[16 4]}}
both5 + neg2 = {{schema:2 count:45 sum:-48 z_bucket:8 z_bucket_w:0.25 offset:-2 buckets:[10] n_offset:-3 n_buckets:[16 0 0 0 0 0 5 4 2]}}
coarse + pos8 = {{schema:-4 count:24 sum:123476.125 z_bucket:1 z_bucket_w:1e-128 offset:-1 buckets:[2 3 18]}}
minus1 + overlap = {{schema:-1 count:28 sum:86 z_bucket:17 z_bucket_w:1 offset:1 buckets:[7 2] n_offset:1 n_buckets:[2]}}
zero + plain = {{count:17 sum:30.1 z_bucket:7 z_bucket_w:0.5 buckets:[3 3] n_buckets:[4]}}
plain + zero = {{count:17 sum:30.1 z_bucket:7 z_bucket_w:0.5 buckets:[3 3] n_buckets:[4]}}
wide + plain = {{schema:1 count:32 sum:80 z_bucket:19 z_bucket_w:1.414213562373095 offset:2 buckets:[4 5] n_offset:2 n_buckets:[4]}}
plain + wide = {{schema:1 count:32 sum:80 z_bucket:19 z_bucket_w:1.414213562373095 offset:2 buckets:[4 5] n_offset:2 n_buckets:[4]}}
wide + fine = {{schema:1 count:44 sum:80 z_bucket:18 z_bucket_w:1.2 offset:1 buckets:[12 4 5] n_offset:1 n_buckets:[7 7]}}
fine + wide = {{schema:1 count:44 sum:80 z_bucket:18 z_bucket_w:1.2 offset:1 buckets:[3 4 5] n_offset:1 n_buckets:[7 7]}}
overlap + fine = {{count:36 sum:39 z_bucket:5 z_bucket_w:0.75 buckets:[9 11] n_buckets:[3 8]}}
fine + overlap = {{count:36 sum:39 z_bucket:5 z_bucket_w:0.75 buckets:[9 11] n_buckets:[3 8]}}
custom + custommid = {{schema:-53 count:29 sum:133 custom_values:[1 2.5 5 10] buckets:[3 9 9 6 2]}}
custommid + customlast = {{schema:-53 count:13 sum:113 custom_values:[1 2.5 5 10] offset:1 buckets:[4 5 0 4]}}
custom + customneg = nil
custom + customsum = nil
custom + plain = nil
plain + custom = nil
gauge + plain = {{schema:1 count:15 sum:35 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge offset:-1 buckets:[1 3 5] n_buckets:[4]}}
plain + gauge = {{schema:1 count:15 sum:35 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge offset:-1 buckets:[1 3 5] n_buckets:[4]}}
somenan + plain = {{count:26 sum:NaN z_bucket:3 z_bucket_w:0.01 buckets:[5 6 4] n_buckets:[4]}}
none + plain = {{count:12 sum:30 z_bucket:2 z_bucket_w:0.001 buckets:[3 3] n_buckets:[4]}}
frac + pos8 = {{schema:2 count:19.2 sum:27.425 offset:2 buckets:[15.7 1.4 2.1]}}
holes + zeroonly = {{count:8 sum:5.2 z_bucket:5 z_bucket_w:0.75 offset:1 buckets:[3]}}
zeroonly + holes = {{count:8 sum:5.2 z_bucket:5 z_bucket_w:0.75 offset:1 buckets:[3]}}
holesneg + zeroonly = {{count:8 sum:-4.8 z_bucket:5 z_bucket_w:0.75 n_offset:1 n_buckets:[3]}}
zeroonly - holesneg = {{count:-4 sum:5.2 z_bucket:-1 z_bucket_w:0.75 n_offset:1 n_buckets:[-3]}}
cutneg + zeroonly = {{count:11 sum:0.4 z_bucket:7 z_bucket_w:1 offset:1 buckets:[1 3]}}
zeroonly + cutneg = {{count:11 sum:0.4 z_bucket:7 z_bucket_w:1 offset:1 buckets:[1 3]}}
pos0 + same1 = {{count:20 sum:54.5 offset:1 buckets:[8 5 4 3]}}
same1 + pos0 = {{count:20 sum:54.5 offset:1 buckets:[8 5 4 3]}}
pos0 - same1 = {{sum:14.5 offset:1 buckets:[-6 -1 4 3]}}
plain - plain = {{schema:1 z_bucket_w:0.001}}
plain - pos0 = {{count:2 sum:-4.5 z_bucket:2 z_bucket_w:0.001 buckets:[3 2 -2 -4 -3] n_buckets:[4]}}
pos0 - plain = {{count:-2 sum:4.5 z_bucket:-2 z_bucket_w:0.001 buckets:[-3 -2 2 4 3] n_buckets:[-4]}}
pos8 - pos3 = {{schema:3 count:-6 sum:-20.125 z_bucket:-1 z_bucket_w:0.5 offset:3 buckets:[15 -3 0 -5 -7 -5]}}
pos3 - pos8 = {{schema:3 count:6 sum:20.125 z_bucket:1 z_bucket_w:0.5 offset:3 buckets:[-15 3 0 5 7 5]}}
wide - fine = {{schema:1 count:-4 sum:20 z_bucket:-14 z_bucket_w:1.2 offset:1 buckets:[-6 4 5] n_offset:1 n_buckets:[-3 1]}}
fine - wide = {{schema:1 count:4 sum:-20 z_bucket:14 z_bucket_w:1.2 offset:1 buckets:[-3 -4 -5] n_offset:1 n_buckets:[3 -1]}}
custom - custommid = {{schema:-53 count:11 sum:67 custom_values:[1 2.5 5 10] buckets:[3 1 -1 6 2]}}
custom - customneg = nil
gauge - plain = {{schema:1 count:-9 sum:-25 z_bucket:-2 z_bucket_w:0.001 counter_reset_hint:gauge offset:-1 buckets:[-1 -1 -1] n_buckets:[-4]}}
none - fine = {{count:-24 sum:-30 z_bucket:-1 z_bucket_w:0.001 buckets:[-6 -9] n_offset:1 n_buckets:[-8]}}
frac - pos3 = {{schema:2 count:-16.8 sum:-32.95 z_bucket:-1 z_bucket_w:0.5 offset:2 buckets:[-2.3 -3.6 -9.9]}}
both5 - fine = {{schema:4 count:7 sum:-23 z_bucket:4 z_bucket_w:0.25 offset:-10 buckets:[4 5 1 0 0 0 0 0 -1 -2 -3 -4 -5] n_offset:-15 n_buckets:[6 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -2 -3 -3]}}
plain * 2.5 = {{schema:1 count:30 sum:75 z_bucket:5 z_bucket_w:0.001 offset:-1 buckets:[2.5 5 7.5] n_buckets:[10]}}
both5 * -1 = {{schema:5 count:-31 sum:-7 z_bucket:-5 z_bucket_w:0.25 offset:-20 buckets:[-4 -3 -2 -1] n_offset:-30 n_buckets:[-6 -5 -5]}}
custom * 0 = {{schema:-53 custom_values:[1 2.5 5 10]}}
fine * 0.1 = {{schema:4 count:2.4000000000000004 sum:3 z_bucket:0.1 z_bucket_w:0.001 offset:-2 buckets:[0.1 0.2 0.30000000000000004 0.4 0.5] n_offset:7 n_buckets:[0.2 0.30000000000000004 0.30000000000000004]}}
plain / 3 = {{schema:1 count:4 sum:10 z_bucket:0.6666666666666666 z_bucket_w:0.001 offset:-1 buckets:[0.3333333333333333 0.6666666666666666 1] n_buckets:[1.3333333333333333]}}
plain / 0 = {{schema:1 count:+Inf sum:+Inf z_bucket:+Inf z_bucket_w:0.001}}
custom / -4 = {{schema:-53 count:-5 sum:-25 custom_values:[1 2.5 5 10] buckets:[-0.75 -1.25 -1 -1.5 -0.5]}}
custom / 0 = {{schema:-53 count:+Inf sum:+Inf custom_values:[1 2.5 5 10]}}
none / 0 = {{count:NaN sum:NaN z_bucket:NaN}}
frac / 0.3 = {{schema:2 count:14.000000000000002 sum:24.333333333333332 offset:2 buckets:[2.3333333333333335 4.666666666666667 7.000000000000001]}}
";

/// Resets: a histogram, the next one, and what promtool evaluated `resets` of both to be.
const RESETS: &str = "
{{count:5 sum:1 buckets:[2 3]}} {{count:6 sum:0.5 buckets:[3 3]}} = 0E+00
{{count:5 sum:1 buckets:[2 3]}} {{count:6 sum:9 buckets:[1 5]}} = 1E+00
{{count:5 sum:1 buckets:[2 3]}} {{count:4 sum:9 buckets:[2 2]}} = 1E+00
{{count:5 sum:1 buckets:[2 3]}} {{count:6 sum:9 buckets:[6]}} = 1E+00
{{count:5 sum:1 buckets:[0 5]}} {{count:6 sum:9 buckets:[6] offset:1}} = 0E+00
{{schema:1 count:5 sum:1 buckets:[2 3] offset:1}} {{schema:0 count:6 sum:9 buckets:[6] offset:1}} = 0E+00
{{schema:1 count:5 sum:1 buckets:[2 3] offset:1}} {{schema:0 count:6 sum:9 buckets:[4 2] offset:1}} = 1E+00
{{schema:0 count:5 sum:1 buckets:[2 3]}} {{schema:1 count:9 sum:9 buckets:[4 5]}} = 1E+00
{{schema:0 count:5 sum:1 z_bucket:1 z_bucket_w:0.5 buckets:[2 2]}} {{schema:0 count:9 sum:9 z_bucket:5 z_bucket_w:0.25 buckets:[2 2]}} = 1E+00
{{schema:0 count:5 sum:1 z_bucket:1 z_bucket_w:0.5 buckets:[2 2]}} {{schema:0 count:9 sum:9 z_bucket:3 z_bucket_w:1 buckets:[6] offset:1}} = 0E+00
{{schema:0 count:5 sum:1 z_bucket:1 z_bucket_w:0.5 buckets:[2 2]}} {{schema:0 count:9 sum:9 z_bucket:2 z_bucket_w:1 buckets:[7] offset:1}} = 1E+00
{{schema:0 count:5 sum:1 z_bucket:1 z_bucket_w:0.5 buckets:[2 2]}} {{schema:0 count:9 sum:9 z_bucket:3 z_bucket_w:0.75 buckets:[0 6]}} = 1E+00
{{schema:0 count:5 sum:1 n_buckets:[2 3]}} {{schema:0 count:9 sum:1 n_buckets:[9 0]}} = 1E+00
{{schema:0 count:5 sum:1 n_buckets:[2 3]}} {{schema:0 count:9 sum:1 n_buckets:[6 3]}} = 0E+00
{{schema:0 count:5 sum:1 z_bucket:3 z_bucket_w:0.5 buckets:[2]}} {{schema:0 count:9 sum:9 z_bucket:2 z_bucket_w:0.5 buckets:[7]}} = 1E+00
{{schema:-53 count:5 sum:1 custom_values:[1 2] buckets:[2 3]}} {{schema:-53 count:6 sum:1 custom_values:[1 2] buckets:[2 3 1]}} = 0E+00
{{schema:-53 count:5 sum:1 custom_values:[1 2] buckets:[2 3]}} {{schema:-53 count:6 sum:1 custom_values:[1 3] buckets:[2 3 1]}} = 1E+00
{{schema:-53 count:5 sum:1 custom_values:[1 2] buckets:[2 3]}} {{schema:-53 count:6 sum:1 custom_values:[1 2] buckets:[1 4 1]}} = 1E+00
{{schema:-53 count:5 sum:1 custom_values:[1 2] buckets:[2 3]}} {{schema:0 count:6 sum:1 buckets:[2 3 1]}} = 1E+00
{{schema:0 count:5 sum:1 buckets:[2 3]}} {{schema:-53 count:6 sum:1 custom_values:[1 2] buckets:[2 3 1]}} = 1E+00
{{schema:2 count:5 sum:1 buckets:[5] offset:-7}} {{schema:-1 count:9 sum:1 z_bucket:5 z_bucket_w:0.5 buckets:[4] offset:1}} = 1E+00
{{schema:2 count:5 sum:1 buckets:[5] offset:-7}} {{schema:2 count:9 sum:1 z_bucket:5 z_bucket_w:0.5 buckets:[4] offset:1}} = 0E+00
{{count:5 sum:1 z_bucket:1 z_bucket_w:0.5 buckets:[2 2]}} {{count:11 sum:9 z_bucket:3 z_bucket_w:0.75 buckets:[2 6]}} = 1E+00
{{count:5 sum:1 buckets:[5] offset:-1080}} {{count:6 sum:1 buckets:[3 3] offset:-1080}} = 1E+00
{{count:5 sum:1 buckets:[5] offset:-1080}} {{count:6 sum:1 buckets:[5 1] offset:-1080}} = 0E+00
";
