#!/usr/bin/env python3
"""Breaks the library on purpose, one promise at a time, and sees that the C tests notice, or the model check.

Each mutation is made in a copy of the tree below build/, where library and tests are then built and run. It passes if
the tests it names fail. Arguments choose mutations by parts of their names. The last line counts.
"""

import dataclasses
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREE = ROOT / "build" / "mutations"


@dataclasses.dataclass
class Mutation:
    name: str
    # File, text that stands in it once, and what to put in its place.
    edits: list
    # Words that choose the tests, some of which have to fail.
    tests: list
    # Whether those are of the model check, not C tests.
    is_model: bool = False


MUTATIONS = [
    Mutation(
        "the swap comes after the handshake",
        [
            (
                "src/relay/mod.rs",
                "    swap(number, connection, pair.program.as_fd(), transport.as_fd())?;\n",
                "    let _ = (swap, connection);\n    *LATE.lock().unwrap() = Some(pair.program);\n",
            ),
            (
                "src/relay/mod.rs",
                "        let link = Arc::new(Link {\n",
                "        let late = LATE.lock().unwrap().take().unwrap();\n"
                "        let connection = Identity::of(transport.as_fd())?;\n"
                "        swap::swap(self.program.number, connection, late.as_fd(), transport.as_fd())?;\n"
                "        let link = Arc::new(Link {\n",
            ),
            (
                "src/relay/mod.rs",
                "/// What the relay needs to know beside the bytes.\n",
                "static LATE: std::sync::Mutex<Option<std::os::fd::OwnedFd>> = std::sync::Mutex::new(None);\n"
                "/// What the relay needs to know beside the bytes.\n",
            ),
        ],
        ["what_is_sent_all_through_an_upgrade_leaves_under_tls (IPv4"],
    ),
    Mutation(
        "a failed upgrade leaves the connection alive",
        [
            (
                "src/socket/upgrade.rs",
                "        let kill = |state: &mut State| self.kill(state);\n"
                "        let (error, phase) = outcome::fail(",
                "        let kill = |state: &mut State| std::mem::replace(&mut state.phase, Phase::Failed);\n"
                "        let (error, phase) = outcome::fail(",
            ),
            ("src/relay/mod.rs", "            self.program.cut_off(&library);\n", "            drop(library);\n"),
        ],
        ["a_wrong_name", "an_injected_line", "a_timeout"],
    ),
    Mutation(
        "a closed connection is not drained",
        [
            (
                "src/relay/closing.rs",
                "            return Step::Progress;\n        };\n",
                "            return Step::Done;\n        };\n",
            ),
        ],
        ["write_only_then_close", "close_after_a_write", "then close"],
    ),
    Mutation(
        "a truncation is a clean end",
        [
            (
                "src/relay/connection.rs",
                "if was_reset || !self.options.allow_truncation {",
                "if was_reset && !self.options.allow_truncation {",
            ),
        ],
        ["fin_without_close_notify", "fin_inside"],
    ),
    Mutation(
        "a held socket can be connected",
        [("src/sys/hold.rs", '    listen(fd, 0).map_err(failed("hold the socket"))', "    let _ = || listen(fd, 0);\n    Ok(())")],
        ["nothing_is_sent_or_received_on_a_held_socket", "held_again"],
    ),
    Mutation(
        "a held socket that is shut down can be connected",
        [("src/sys/hold.rs", "k: 0 };", "k: 65535 };")],
        ["shut_down_it_is_not_connected_either"],
    ),
    Mutation(
        "without a name the hook is not told",
        [("src/verify/chain.rs", "Subject::Unknown => return findings.push(no_name()),", "Subject::Unknown => return,")],
        ["without_a_name"],
    ),
    Mutation(
        "a decision is lost that comes before the hook has returned",
        [
            (
                "src/socket/approval.rs",
                "            self.next_step()?.validation = Validation::Awaited { answer: None, until: None };\n",
                "            drop(self.next_step()?);\n",
            ),
        ],
        ["a_hundred_handshakes"],
    ),
    Mutation(
        "a handshake that was cancelled goes on",
        [("src/socket/outcome.rs", "    errors.fatal().map_or(Ok(state), Err)\n", "    Ok(state)\n")],
        ["one_of_those_who_come_at_once", "a_hundred_handshakes"],
    ),
    Mutation(
        "the ciphers of a socket are kept and not restricted",
        [("src/winsock/mod.rs", "settings.parameters.suites = suites;", "let _ = suites;")],
        ["the_peer_sees_the_ciphers"],
    ),
    Mutation(
        "a handshake has the ciphers of another socket",
        [
            (
                "src/tls/config.rs",
                "parameters: input.parameters.clone()",
                "parameters: Parameters { suites: Default::default(), ..input.parameters.clone() }",
            ),
        ],
        ["handshakes_at_once"],
    ),
    Mutation(
        "the end of the process waits for nothing",
        [("src/abi/process.rs", "let _ = panic::catch(socket::end_process);", "let _ = panic::catch(|| ());")],
        ["exit_delivers", "then exit"],
    ),
    Mutation(
        "a thread is not woken for what comes after it has looked",
        [("src/relay/hand_over.rs", "            entry.is_woken = false;\n", "")],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "a thread that was woken for one is taken to have been woken for the next",
        [
            (
                "src/relay/hand_over.rs",
                "        let Some(place) = entry.inbox.iter().position(|(other, _)| *other == ticket) else {\n"
                "            return Ok(());\n",
                "        let Some(place) = entry.inbox.iter().position(|(other, _)| *other == ticket) else {\n"
                "            entry.is_woken = true;\n"
                "            return Ok(());\n",
            ),
        ],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "a thread leaves its inbox behind",
        [
            (
                "src/relay/hand_over.rs",
                "        let entry = self.pool.lock().remove(&self.thread);\n        entry.into_iter()",
                "        let inbox = self.take().count();\n"
                "        let entry = self.pool.lock().remove(&self.thread).filter(|_| inbox == 0);\n"
                "        entry.into_iter()",
            ),
        ],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "a thread leaves although something has just been handed to it",
        [("src/relay/hand_over.rs", "if is_last || self.thread.load.load(Ordering::Relaxed) > 0 {", "if is_last {")],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "what nobody could be woken for is dropped",
        [
            (
                "src/relay/hand_over.rs",
                "                let (_, item) = entry.inbox.remove(place);\n                Err((error, item))\n",
                "                drop((error, entry.inbox.remove(place)));\n                Ok(())\n",
            ),
        ],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "what nobody could be woken for is counted for ever",
        [("src/relay/hand_over.rs", "                entry.thread.load.fetch_sub(1, Ordering::Relaxed);\n", "")],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "a thread that could not be started leaves those waiting who wait for it",
        [("src/relay/hand_over.rs", "        self.pool.started.notify_all();\n", "")],
        ["hand_over::model"],
        is_model=True,
    ),
    Mutation(
        "whoever waits for the relay misses what happens while he looks",
        [("src/relay/event_count.rs", "        if *count == self.seen {\n", "        {\n")],
        ["event_count::model", "links::model"],
        is_model=True,
    ),
    Mutation(
        "whoever waits for the relay is counted only when he waits",
        [
            (
                "src/relay/event_count.rs",
                "        self.watching.fetch_add(1, Ordering::Relaxed);\n        fence(Ordering::SeqCst);\n"
                "        Watch { events: self, seen: *self.lock() }\n",
                "        Watch { events: self, seen: *self.lock() }\n",
            ),
            (
                "src/relay/event_count.rs",
                "        let mut count = self.events.lock();\n",
                "        self.events.watching.fetch_add(1, Ordering::Relaxed);\n"
                "        let mut count = self.events.lock();\n",
            ),
        ],
        ["event_count::model", "links::model"],
        is_model=True,
    ),
    Mutation(
        "the relay says what it holds when it has read",
        [
            (
                "src/relay/progress.rs",
                "        in_librarys_end() || !self.idle.load(Ordering::SeqCst)\n",
                "        !self.idle.load(Ordering::SeqCst) || in_librarys_end()\n",
            ),
        ],
        ["links::model"],
        is_model=True,
    ),
    Mutation(
        "whoever waits looks at each place once",
        [("src/relay/progress.rs", "is_beyond() || in_programs_end() || is_beyond()", "is_beyond() || in_programs_end()")],
        ["links::model"],
        is_model=True,
    ),
    Mutation(
        "a handshake that was cancelled at its end is a success",
        [("src/socket/outcome.rs", "    errors.fatal().map_or(Ok(state), Err)\n", "    Ok(state)\n")],
        ["outcome::model"],
        is_model=True,
    ),
    Mutation(
        "the second reason takes the place of the first",
        [("src/error.rs", "        errors.fatal.get_or_insert(error);\n", "        errors.fatal = Some(error);\n")],
        ["outcome::model"],
        is_model=True,
    ),
    Mutation(
        "what the reader leaves stays where the turn was somebody else's",
        [
            (
                "src/io/outgoing.rs",
                "        let _ = self.flush_and_leave(session);\n        Some(outcome)\n",
                "        Some(outcome)\n",
            ),
        ],
        ["outgoing::model"],
        is_model=True,
    ),
    Mutation(
        "the reader is not told of what somebody could not send",
        [("src/io/outgoing.rs", "            session.wake_reader();\n", "")],
        ["outgoing::model"],
        is_model=True,
    ),
    Mutation(
        "what waits is said to without the engine's lock",
        [
            (
                "src/io/outgoing.rs",
                "            self.outgoing.unsent.store(!queue.is_empty(), Ordering::Release);\n        });\n",
                "        });\n        self.outgoing.unsent.store(!self.queue.is_empty(), Ordering::Release);\n",
            ),
        ],
        ["outgoing::model"],
        is_model=True,
    ),
    Mutation(
        "what the engine has leaves before what waits already",
        [
            (
                "src/io/outgoing.rs",
                "            if queue.is_empty() {\n                std::mem::swap(queue, made);\n",
                "            if !made.is_empty() {\n                std::mem::swap(queue, made);\n",
            ),
        ],
        ["outgoing::model"],
        is_model=True,
    ),
    Mutation(
        "the thread that ends sessions ends without looking whether there are more",
        [("src/io/backlog.rs", "        if is_done && new.is_empty() {\n", "        if is_done && !new.is_empty() {\n")],
        ["backlog::model"],
        is_model=True,
    ),
    Mutation(
        "where that thread could not be started what others had added meanwhile is forgotten",
        [
            (
                "src/io/backlog.rs",
                "        start().map_err(|error| (error, self.abandon()))\n",
                "        start().map_err(|error| (error, self.abandon().drain(..1).collect()))\n",
            ),
        ],
        ["backlog::model"],
        is_model=True,
    ),
]


class Survived(Exception):
    """The tests did not notice; the text says what they did instead."""


def copy_tree():
    """What git tracks, and what it would; times are kept, so that unchanged files are not built again."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, TREE / name
        if not source.is_file() or (target.exists() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def run(*command):
    done = subprocess.run(
        [str(word) for word in command], cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )  # fmt: skip
    return done.returncode, done.stdout


def check(mutation):
    copy_tree()
    for name, old, new in mutation.edits:
        path = TREE / name
        text = path.read_text()
        if text.count(old) != 1:
            raise Survived(f"{name} has {text.count(old)} times, and not once: {old.strip()}")
        path.write_text(text.replace(old, new))
    if mutation.is_model:
        status, output = run(sys.executable, "tests/model.py", *mutation.tests)
        if "error: could not compile" in output:
            raise Survived(f"it does not build: {output[-2000:]}")
        red = [line.removesuffix(" --- FAILED") for line in output.splitlines() if line.endswith(" --- FAILED")]
    else:
        status, output = run("make", "lib", "c-tests")
        if status:
            raise Survived(f"it does not build: {output[-2000:]}")
        status, output = run(sys.executable, "tests/c_tests.py", *mutation.tests)
        red = [line for line in output.splitlines() if line.startswith("not ok")]
    if not status or not red:
        raise Survived(f"every test passed: {output.splitlines()[-1]}")
    print(f"ok {mutation.name}: {len(red)} tests fail, the first: {red[0].removeprefix('not ok ')}", flush=True)


def main():
    passed = failed = 0
    for mutation in MUTATIONS:
        if len(sys.argv) > 1 and not any(word in mutation.name for word in sys.argv[1:]):
            continue
        try:
            check(mutation)
            passed += 1
        except (Survived, OSError, subprocess.SubprocessError) as why:
            print(f"not ok {mutation.name}: {why}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
