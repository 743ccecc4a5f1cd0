//! CPU time of client handshakes: the library in explicit mode beside rustls alone, round by round.
//! `cargo bench --bench paths -- [ROUNDS [PART-OF-A-NAME [ours|bare]]]`
//!
//! With `count WORK TIMES` one kind of work for benches/instructions.py, whose calls go through
//! `common::counted`.

mod common;

use std::ffi::CString;
use std::sync::mpsc;

use common::{Kind, NAME, Pair, Scene, Step, bare, counted, cpu, ours, serve, uncounted};

fn main() {
    // cargo says --bench.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [count, work, times] = &arguments[..]
        && count == "count"
    {
        return run(work, times.parse().expect("a number"));
    }
    let rounds: usize = arguments.first().map_or(20, |text| text.parse().expect("a number"));
    let only = arguments.get(1);
    let who = arguments.get(2).map(String::as_str);
    for (name, kind) in Kind::all() {
        if only.is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        compare(&name, kind, rounds, who);
    }
}

fn compare(label: &str, kind: Kind, rounds: usize, who: Option<&str>) {
    let scene = Scene::new(kind);
    scene.set_defaults();
    let name = CString::new(NAME).unwrap();
    let (sender, receiver) = mpsc::channel();
    let config = scene.server.clone();
    let server = std::thread::spawn(move || {
        while let Ok(socket) = receiver.recv() {
            serve(config.clone(), socket);
        }
    });
    let mut times = [Vec::new(), Vec::new()];
    let mut whole = [Vec::new(), Vec::new()];
    for round in 0..rounds + WARM_UP {
        for (which, times) in times.iter_mut().enumerate() {
            if who.is_some_and(|who| who != ["bare", "ours"][which]) {
                continue;
            }
            let before = cpu();
            let mut spent = 0.0;
            for _ in 0..PER_ROUND {
                let (mut client, socket) = scene.connect();
                sender.send(socket).unwrap();
                spent += match which {
                    0 => bare(&scene, &mut client),
                    _ => ours(&scene, &client, &name),
                };
            }
            if round >= WARM_UP {
                times.push(spent / f64::from(PER_ROUND));
                whole[which].push((cpu() - before) / f64::from(PER_ROUND));
            }
        }
    }
    drop(sender);
    server.join().unwrap();
    let [bare, ours] = times.map(median);
    let [all_bare, all_ours] = whole.map(median);
    println!(
        "{label:26} handshake: bare {bare:6.1} ours {ours:6.1} us {:.3}; with connect and close: \
         bare {all_bare:6.1} ours {all_ours:6.1} us {:.3}",
        bare / ours,
        all_bare / all_ours
    );
}

/// `ours-KIND` or `bare-KIND` of a handshake, `send-BYTES` or `receive-BYTES`.
fn run(work: &str, times: usize) {
    let (what, rest) = work.split_once('-').expect("a kind of work");
    let is_handshake = matches!(what, "ours" | "bare");
    let kind = if is_handshake { rest } else { "tls13-x25519-p256-full" };
    let scene = Scene::new(Kind::parse(kind).expect("a kind of handshake"));
    scene.set_defaults();
    let name = CString::new(NAME).unwrap();
    if is_handshake {
        let make = |step: Step| drop(Pair::new(&scene, &name, what == "ours", step));
        (0..WARM_UP).for_each(|_| make(uncounted));
        (0..times).for_each(|_| make(counted));
        return;
    }
    let data = vec![7; rest.parse().expect("a size")];
    let mut buffer = vec![0; data.len()];
    let mut pair = Pair::new(&scene, &name, true, uncounted);
    let mut transfer = |step: Step| {
        if what == "send" {
            return pair.send(&data, step);
        }
        pair.serve_data(&data);
        let mut left = data.len();
        while left > 0 {
            left -= pair.receive(&mut buffer[..left], step);
        }
    };
    (0..WARM_UP).for_each(|_| transfer(uncounted));
    (0..times).for_each(|_| transfer(counted));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

const WARM_UP: usize = 5;
const PER_ROUND: u32 = 10;
