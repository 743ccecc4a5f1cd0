//! Runs what threads share in orders that can happen: tests named `model`, under `--cfg sslsock_model`.
//!
//! The scheduler of the model checker decides at every lock, condition variable and atomic who goes on. The seeds are
//! fixed: a run finds what the last one found. Atomics have one order there, whatever is said at them, and no wait
//! times out: what is lost shows as a deadlock.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Runs `body`, which starts threads with `shuttle::thread`, in many orders. What fails prints its order;
/// `SSLSOCK_SCHEDULE` set to that repeats it.
pub fn check(body: impl Fn() + Send + Sync + Clone + 'static) {
    if let Ok(schedule) = std::env::var("SSLSOCK_SCHEDULE") {
        return shuttle::replay(body, &schedule);
    }
    let orders = ORDERS * if std::env::var_os("SSLSOCK_LONG").is_some() { LONG } else { 1 };
    run(RandomScheduler::new_from_seed(SEED, orders), body.clone());
    // Few changes at chosen places find what chance seldom does.
    for depth in 1..=DEPTHS {
        run(PctScheduler::new_from_seed(SEED, depth, orders / DEPTHS), body.clone());
    }
}

fn run(scheduler: impl Scheduler + 'static, body: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // About the order of atomics, see above.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(body);
}

const SEED: u64 = 0x5515_0c4e;
const ORDERS: usize = 1000;
/// How many times as many in the long run.
const LONG: usize = 60;
const DEPTHS: usize = 4;
