//! Requests over some connections for a while.

use std::time::{Duration, Instant};

use skerry_testkit::upstream::client::Target;

/// What a run gave.
pub struct Rate {
    /// Requests per second.
    pub per_second: f64,
    /// The server's milliseconds on a core, per request.
    pub cpu: f64,
}

/// Sends requests over some connections for a while; `of` gives path and body for the number of connection and request.
pub fn run(
    target: &Target,
    connections: usize,
    method: &str,
    of: impl Fn(usize, usize) -> (String, String) + Sync,
) -> Rate {
    const LONG: Duration = Duration::from_secs(5);
    let before = target.processes().cpu();
    let started = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|c| {
                let of = &of;
                scope.spawn(move || {
                    let mut connection = target.connect();
                    let mut done = 0;
                    while started.elapsed() < LONG {
                        let (path, body) = of(c, done);
                        let (code, answer) = connection.request(method, &path, &body);
                        assert!(code < 300, "{method} {path}: {code} {}", String::from_utf8_lossy(&answer));
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().expect("a connection")).sum()
    });
    let seconds = started.elapsed().as_secs_f64();
    Rate {
        per_second: done as f64 / seconds,
        cpu: (target.processes().cpu() - before) * 1000.0 / done.max(1) as f64,
    }
}
