//! The hand-over in the orders that can happen, with threads that wait on a condition variable in place
//! of an epoll instance.

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};

use super::*;
use crate::model::check;

/// What a thread waits with.
struct Stand {
    world: Arc<World>,
    is_woken: Mutex<bool>,
    woken: Condvar,
}

/// One execution: what the threads do, and what has become of everything.
#[derive(Default)]
struct World {
    plan: Mutex<Plan>,
    fates: Mutex<Vec<Fate>>,
    decided: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How many more times something goes wrong, each at a moment of the scheduler's choice.
#[derive(Clone, Copy, Default)]
struct Plan {
    refused_threads: usize,
    failing_wakes: usize,
    /// Threads that cannot go on.
    failing_threads: usize,
    /// The end of the execution.
    is_over: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fate {
    served: usize,
    /// By a thread that cannot go on.
    failed: usize,
    given_back: usize,
}

impl World {
    fn goes_wrong(&self, what: impl Fn(&mut Plan) -> &mut usize) -> bool {
        let mut plan = self.plan.lock().unwrap();
        let left = what(&mut plan);
        let wrong = *left > 0 && thread_rng().gen_bool(0.5);
        *left -= usize::from(wrong);
        wrong
    }

    fn tell(&self, item: usize, what: impl Fn(&mut Fate) -> &mut usize) {
        *what(&mut self.fates.lock().unwrap()[item]) += 1;
        self.decided.notify_all();
    }
}

impl Carrier for Stand {
    type Context = Arc<World>;
    type Item = usize;
    const LOADED: usize = 1;

    fn new(world: &Arc<World>) -> Result<Self> {
        Ok(Self { world: world.clone(), is_woken: Mutex::default(), woken: Condvar::new() })
    }

    fn start(seat: Seat<Self>) -> Result<()> {
        let world = seat.carrier().world.clone();
        if world.goes_wrong(|plan| &mut plan.refused_threads) {
            return Err(Error::internal("refused"));
        }
        let thread = thread::spawn(move || serve(&seat));
        world.threads.lock().unwrap().push(thread);
        Ok(())
    }

    fn wake(&self) -> Result<()> {
        if self.world.goes_wrong(|plan| &mut plan.failing_wakes) {
            return Err(Error::internal("not woken"));
        }
        *self.is_woken.lock().unwrap() = true;
        self.woken.notify_one();
        Ok(())
    }

    fn most_threads(_: &Arc<World>) -> usize {
        2
    }
}

/// A thread, as `reactor::serve` is one.
fn serve(seat: &Seat<Stand>) {
    let world = &seat.carrier().world;
    let give_up = || {
        for item in seat.leave() {
            world.tell(item, |fate| &mut fate.failed);
            seat.done();
        }
        // What was served or given back counts for nothing.
        assert_eq!(seat.thread.load.load(Ordering::Relaxed), 0);
    };
    loop {
        // One that has nothing to carry looks now and then whether it is needed.
        let has_waited_enough = thread_rng().gen_bool(0.5);
        if has_waited_enough && seat.leave_unless_needed() {
            return;
        }
        let stand = seat.carrier();
        let mut is_woken = stand.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = stand.woken.wait(is_woken).unwrap();
        }
        *is_woken = false;
        drop(is_woken);
        if world.goes_wrong(|plan| &mut plan.failing_threads) {
            return give_up();
        }
        for item in seat.take() {
            world.tell(item, |fate| &mut fate.served);
            seat.done();
        }
        if world.plan.lock().unwrap().is_over {
            return give_up();
        }
    }
}

/// Two threads hand over what is numbered from 0. Answers what has become of each, once everything has
/// come to an end; and how many threads there were then.
fn run(plan: Plan, meanwhile: impl FnOnce(&Arc<Pool<Stand>>)) -> (Vec<Fate>, usize) {
    let world = Arc::new(World::default());
    *world.plan.lock().unwrap() = plan;
    *world.fates.lock().unwrap() = vec![Fate::default(); 2 * EACH];
    let pool = Pool::new(world.clone());
    let givers: Vec<_> = (0..2)
        .map(|giver| {
            let (pool, world) = (pool.clone(), world.clone());
            thread::spawn(move || {
                for item in giver * EACH..(giver + 1) * EACH {
                    if let Err((_, item)) = pool.hand_over(item) {
                        world.tell(item, |fate| &mut fate.given_back);
                    }
                }
            })
        })
        .collect();
    meanwhile(&pool);
    givers.into_iter().for_each(|giver| giver.join().unwrap());
    // A wake-up that is lost makes this wait for ever.
    let mut fates = world.fates.lock().unwrap();
    while fates.contains(&Fate::default()) {
        fates = world.decided.wait(fates).unwrap();
    }
    drop(fates);
    let threads = pool.threads();
    {
        let mut plan = world.plan.lock().unwrap();
        *plan = Plan { is_over: true, ..Plan::default() };
    }
    pool.wake_all();
    let running = std::mem::take(&mut *world.threads.lock().unwrap());
    running.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(pool.threads(), 0);
    let fates = world.fates.lock().unwrap().clone();
    for (item, fate) in fates.iter().enumerate() {
        assert_eq!(fate.served + fate.failed + fate.given_back, 1, "{item}: {fate:?}");
    }
    (fates, threads)
}

fn all(fates: &[Fate], what: impl Fn(&Fate) -> usize) -> bool {
    fates.iter().all(|fate| what(fate) == 1)
}

const EACH: usize = 2;

#[test]
fn everything_is_served_once_although_threads_come_and_go() {
    check(|| {
        let (fates, threads) = run(Plan::default(), |_| ());
        assert!(all(&fates, |fate| fate.served));
        assert!((1..=2).contains(&threads));
    });
}

#[test]
fn a_limit_that_is_set_meanwhile_loses_nothing() {
    check(|| {
        let (fates, _) = run(Plan::default(), |pool| pool.set_limit(1));
        assert!(all(&fates, |fate| fate.served));
    });
}

#[test]
fn a_thread_is_there_for_whoever_has_made_sure() {
    check(|| {
        let (fates, _) = run(Plan::default(), |pool| {
            pool.prepare().unwrap();
            assert!(pool.threads() > 0);
        });
        assert!(all(&fates, |fate| fate.served));
    });
}

#[test]
fn a_thread_that_cannot_go_on_takes_along_only_what_it_was_given() {
    check(|| {
        run(Plan { failing_threads: 2, ..Plan::default() }, |_| ());
    });
}

#[test]
fn what_nobody_could_be_woken_for_is_given_back_or_served() {
    check(|| {
        let plan = Plan { failing_wakes: 3, ..Plan::default() };
        let (fates, _) = run(plan, |_| ());
        assert!(fates.iter().all(|fate| fate.failed == 0));
    });
}

#[test]
fn a_thread_that_could_not_be_started_leaves_nobody_waiting() {
    check(|| {
        run(Plan { refused_threads: 3, ..Plan::default() }, |_| ());
    });
}

#[test]
fn everything_that_can_go_wrong_at_once_loses_nothing() {
    check(|| {
        let plan =
            Plan { refused_threads: 1, failing_wakes: 1, failing_threads: 1, is_over: false };
        run(plan, |pool| {
            pool.set_limit(1);
            pool.set_limit(0);
        });
    });
}
