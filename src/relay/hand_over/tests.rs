use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::*;
use crate::sync::atomic::AtomicBool;

/// What the threads of a test's pool do, and what goes wrong.
#[derive(Default)]
struct World {
    starts: AtomicUsize,
    wakes: AtomicUsize,
    cannot_start: AtomicBool,
    cannot_wake: AtomicBool,
    is_busy: AtomicBool,
    processors: AtomicUsize,
    /// Each thread's seat, for the test to act in its place.
    seats: Mutex<Vec<Seat<Stand>>>,
}

/// A thread that does nothing of its own: the test takes its part.
struct Stand(Arc<World>);

impl Carrier for Stand {
    type Item = u32;
    type Context = Arc<World>;
    const LOADED: usize = 2;

    fn new(world: &Arc<World>) -> Result<Self> {
        Ok(Self(world.clone()))
    }

    fn start(seat: Seat<Self>) -> Result<()> {
        let world = seat.carrier().0.clone();
        if world.cannot_start.load(Ordering::SeqCst) {
            return Err(Error::internal("no thread"));
        }
        world.starts.fetch_add(1, Ordering::SeqCst);
        world.seats.lock().unwrap().push(seat);
        Ok(())
    }

    fn wake(&self) -> Result<()> {
        self.0.wakes.fetch_add(1, Ordering::SeqCst);
        match self.0.cannot_wake.load(Ordering::SeqCst) {
            true => Err(Error::internal("not woken")),
            false => Ok(()),
        }
    }

    fn is_busy(&self) -> bool {
        self.0.is_busy.load(Ordering::SeqCst)
    }

    fn most_threads(world: &Arc<World>) -> usize {
        world.processors.load(Ordering::SeqCst)
    }
}

fn world(processors: usize) -> (Arc<World>, Arc<Pool<Stand>>) {
    let world = Arc::new(World { processors: AtomicUsize::new(processors), ..World::default() });
    (world.clone(), Pool::new(world))
}

fn hand_over(pool: &Arc<Pool<Stand>>, items: std::ops::Range<u32>) {
    items.for_each(|item| pool.hand_over(item).unwrap());
}

fn seat(world: &World, index: usize) -> Seat<Stand> {
    let seats = world.seats.lock().unwrap();
    Seat { pool: seats[index].pool.clone(), thread: seats[index].thread.clone() }
}

fn taken(world: &World, index: usize) -> Vec<u32> {
    seat(world, index).take().collect()
}

#[test]
fn one_wake_does_for_what_comes_before_the_thread_has_looked() {
    let (world, pool) = world(1);
    hand_over(&pool, 0..10);
    assert_eq!(world.wakes.load(Ordering::SeqCst), 1);
    assert_eq!(taken(&world, 0), (0..10).collect::<Vec<_>>());
    hand_over(&pool, 10..12);
    assert_eq!(world.wakes.load(Ordering::SeqCst), 2);
    assert_eq!(taken(&world, 0), [10, 11]);
}

#[test]
fn threads_grow_with_load_up_to_the_processors() {
    let (world, pool) = world(3);
    let mut threads = Vec::new();
    for item in 0..10 {
        pool.hand_over(item).unwrap();
        threads.push(pool.threads());
    }
    assert_eq!(threads, [1, 1, 2, 2, 3, 3, 3, 3, 3, 3]);
    let counts: Vec<_> = (0..3).map(|index| taken(&world, index).len()).collect();
    assert_eq!(counts, [4, 3, 3]);
}

#[test]
fn a_busy_thread_is_joined_by_another() {
    let (world, pool) = world(2);
    world.is_busy.store(true, Ordering::SeqCst);
    hand_over(&pool, 0..1);
    assert_eq!(pool.threads(), 1);
    hand_over(&pool, 1..2);
    assert_eq!(pool.threads(), 2);
    assert_eq!((taken(&world, 0), taken(&world, 1)), (vec![0], vec![1]));
}

#[test]
fn a_limit_that_is_lowered_leaves_what_there_is_and_gives_the_rest_nothing() {
    let (world, pool) = world(4);
    hand_over(&pool, 0..8);
    assert_eq!(pool.threads(), 4);
    pool.set_limit(2);
    (0..4).for_each(|index| assert_eq!(taken(&world, index).len(), 2));
    hand_over(&pool, 8..20);
    let counts: Vec<_> = (0..4).map(|index| taken(&world, index).len()).collect();
    assert_eq!(counts, [6, 6, 0, 0]);
    pool.set_limit(0);
    hand_over(&pool, 20..22);
    assert_eq!((taken(&world, 2).len(), taken(&world, 3).len()), (1, 1));
}

#[test]
fn threads_without_anything_leave_but_for_the_last() {
    let (world, pool) = world(2);
    hand_over(&pool, 0..4);
    let (first, second) = (seat(&world, 0), seat(&world, 1));
    // What lies in the inbox counts.
    assert!(!first.leave_unless_needed());
    for seat in [&first, &second] {
        assert_eq!(seat.take().count(), 2);
        assert!(!seat.leave_unless_needed());
        (0..2).for_each(|_| seat.done());
    }
    assert!(first.leave_unless_needed());
    assert!(!second.leave_unless_needed());
    hand_over(&pool, 4..5);
    assert_eq!(taken(&world, 1), [4]);
    assert_eq!(world.starts.load(Ordering::SeqCst), 2);
}

#[test]
fn what_cannot_be_handed_over_is_given_back() {
    let (world, pool) = world(1);
    world.cannot_start.store(true, Ordering::SeqCst);
    assert_eq!(pool.hand_over(1).unwrap_err().1, 1);
    assert_eq!(pool.threads(), 0);
    world.cannot_start.store(false, Ordering::SeqCst);
    world.cannot_wake.store(true, Ordering::SeqCst);
    assert_eq!(pool.hand_over(2).unwrap_err().1, 2);
    world.cannot_wake.store(false, Ordering::SeqCst);
    hand_over(&pool, 3..4);
    assert_eq!(taken(&world, 0), [3]);
    seat(&world, 0).done();
    assert_eq!(seat(&world, 0).thread.load.load(Ordering::SeqCst), 0);
}

#[test]
fn without_a_further_thread_those_that_there_are_have_more_to_do() {
    let (world, pool) = world(2);
    hand_over(&pool, 0..2);
    world.cannot_start.store(true, Ordering::SeqCst);
    hand_over(&pool, 2..4);
    assert_eq!(taken(&world, 0), [0, 1, 2, 3]);
}

#[test]
fn a_thread_that_gives_up_keeps_what_it_has_got_and_the_next_has_the_rest() {
    let (world, pool) = world(1);
    hand_over(&pool, 0..3);
    assert_eq!(seat(&world, 0).leave().collect::<Vec<_>>(), [0, 1, 2]);
    hand_over(&pool, 3..4);
    assert_eq!(taken(&world, 1), [3]);
}

/// A thread that really is one.
struct Working {
    wake: Sender<()>,
    woken: Mutex<Option<Receiver<()>>>,
    served: Sender<u32>,
}

impl Carrier for Working {
    type Item = u32;
    type Context = Sender<u32>;
    const LOADED: usize = 3;

    fn new(served: &Sender<u32>) -> Result<Self> {
        let (wake, woken) = channel();
        Ok(Self { wake, woken: Mutex::new(Some(woken)), served: served.clone() })
    }

    fn start(seat: Seat<Self>) -> Result<()> {
        thread::spawn(move || {
            let woken = seat.carrier().woken.lock().unwrap().take().unwrap();
            let mut count = 0;
            while woken.recv().is_ok() {
                for item in seat.take() {
                    seat.carrier().served.send(item).unwrap();
                    seat.done();
                    count += 1;
                }
                if seat.leave_unless_needed() {
                    return;
                }
                if count > 50 {
                    seat.leave().for_each(|item| seat.carrier().served.send(item).unwrap());
                    return;
                }
            }
        });
        Ok(())
    }

    fn wake(&self) -> Result<()> {
        self.wake.send(()).map_err(|_| Error::internal("the thread has ended"))
    }

    fn most_threads(_: &Sender<u32>) -> usize {
        3
    }
}

#[test]
fn each_is_served_once_while_threads_come_and_go() {
    let (sender, served) = channel();
    let pool = Pool::<Working>::new(sender);
    thread::scope(|scope| {
        for first in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for item in 0..2000 {
                    let mut item = first * 2000 + item;
                    while let Err((_, back)) = pool.hand_over(item) {
                        item = back;
                    }
                }
            });
        }
    });
    let mut all: Vec<_> =
        (0..8000).map(|_| served.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..8000));
    assert!(served.try_recv().is_err());
}
