//! Answers that travel compressed, and how much is taken of them.

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn gzip(status: u16, body: Vec<u8>) -> Reply {
    Reply { headers: "content-encoding: gzip\r\n".to_owned(), ..reply(status, body) }
}

#[test]
fn answers_may_be_compressed() {
    let plain = TestServer::start(|asked, _| two_entities(asked));
    let server = TestServer::start(|asked, _| {
        let body = two_entities(asked).body;
        gzip(200, compressed(&body))
    });
    let read = |server: &TestServer| {
        fetched(&query(&server.url(), &[(0, 6_000)], 60, &[("a", "x")])).expect("a recording")
    };
    assert_eq!(read(&server), read(&plain));
    let accepted = server.asked()[0].header("accept-encoding").map(str::to_owned);
    assert!(accepted.is_some_and(|it| it.contains("gzip")));
    // So may refusals, and what is cut off is asked for again.
    let server = TestServer::start(|asked, before| match before {
        0 => Reply { is_cut: true, ..gzip(200, compressed(&two_entities(asked).body)) },
        _ => gzip(400, compressed(refusal(400, "no such function").text().as_bytes())),
    });
    let query = query(&server.url(), &[(0, 6_000)], 60, &[("a", "x")]);
    let text = fetched(&query).expect_err("a refusal").to_string();
    assert!(text.contains("no such function"), "{text}");
    assert_eq!(server.asked().len(), 2);
}

/// Bytes of this process's memory at most since the last look.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("of this process");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("a peak");
    let kib = line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number");
    kib << 10
}

#[test]
fn the_limit_is_that_of_what_unfolds() {
    // A GiB of blanks before a bracket, as a JSON parser skips them; some 5 MB travel.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let blanks = vec![b' '; 1 << 20];
    (0..1 << 10).for_each(|_| encoder.write_all(&blanks).expect("compressed"));
    let bomb = encoder.finish().expect("compressed");
    assert!(bomb.len() < 8 << 20, "{}", bomb.len());
    #[cfg(target_os = "linux")]
    let before = peak();
    for status in [200, 500] {
        let bomb = bomb.clone();
        let server = TestServer::start(move |_, _| gzip(status, bomb.clone()));
        let mut query = query(&server.url(), &[(0, 180)], 60, &[("a", "x")]);
        query.config.max_response_bytes = ByteSize::from_mib(4);
        query.config.max_concurrency = 1;
        let text = fetched(&query).expect_err("too large").to_string();
        assert!(text.contains("history.max_response_bytes even for one step"), "{text}");
        let steps: Vec<usize> = server.asked().iter().map(Asked::steps).collect();
        assert_eq!(steps, [4, 2, 1]);
    }
    // Other tests run beside this one, which take far less than the bomb.
    #[cfg(target_os = "linux")]
    assert!(peak() - before < 512 << 20, "{} MiB", (peak() - before) >> 20);
}
