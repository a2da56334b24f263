//! How every program reacts to Ctrl-C and the other signals that end it.

use std::io::Read;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::Contract;
use super::Started;
use super::assert_lines;
use super::assert_matches;
use crate::common::interrupt::ONE_REQUEST;
use crate::program::Bytes;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;

test_programs!(ignored_interrupt_stays_ignored);
fn ignored_interrupt_stays_ignored(contract: &Contract) {
    assert_stays_ignored(contract, "INT", Signal::SIGINT);
}

test_programs!(ignored_hang_up_stays_ignored);
/// As after `nohup`.
fn ignored_hang_up_stays_ignored(contract: &Contract) {
    assert_stays_ignored(contract, "HUP", Signal::SIGHUP);
}

fn assert_stays_ignored(contract: &Contract, name: &str, signal: Signal) {
    let directory = (contract.directory)();
    let stdin = Pipe::new();
    let env = command("env", directory.path()).arg(format!("--ignore-signal={name}"));
    let run = env.arg(example(contract.name)).args(contract.lasting);
    let run = run.stdin(stdin.read.try_clone().unwrap()).start();
    wait_for_handler(&run, Signal::SIGTERM);
    assert!(run.has_signal("SigIgn", signal as u32));
    assert!(!run.has_signal("SigCgt", signal as u32));
}

test_programs!(interrupt_ends_program);
fn interrupt_ends_program(contract: &Contract) {
    assert_ended(contract, "INT", 130);
}

test_programs!(termination_ends_program);
fn termination_ends_program(contract: &Contract) {
    assert_ended(contract, "TERM", 143);
}

test_programs!(hang_up_ends_program);
fn hang_up_ends_program(contract: &Contract) {
    assert_ended(contract, "HUP", 129);
}

fn assert_ended(contract: &Contract, signal: &str, code: i32) {
    let Started { run, _needs } = (contract.interrupts.orderly)();
    run.signal(signal);
    let output = run.finish();
    output.assert_code(code);
    let stderr = output.stderr.text();
    assert_eq!(warnings(signal, &stderr), 1);
    assert_eq!(
        stderr.matches(contract.interrupts.summary).count(),
        1,
        "{stderr}"
    );
}

test_programs!(signal_that_is_sent_twice_is_one_request);
/// `timeout` signals the program and then its process group.
fn signal_that_is_sent_twice_is_one_request(contract: &Contract) {
    let Started { mut run, _needs } = (contract.interrupts.endless)();
    // The program takes the first one later than this. So what it has taken before this time is over
    // belongs to the same request.
    let start = Instant::now();
    while start.elapsed() < ONE_REQUEST {
        // What is sent late may be taken late.
        if start.elapsed() < ONE_REQUEST / 2 {
            run.kill(Signal::SIGTERM);
        }
        thread::sleep(Duration::from_millis(2));
        let ended = run.child.try_wait().unwrap();
        assert!(
            ended.is_none() || start.elapsed() >= ONE_REQUEST,
            "{ended:?}"
        );
    }
}

// `process_pool` prints its results as it works, and `crawl` the address at which it begins.
test_programs!(interrupt_at_the_end_changes_nothing: checksum coordinator executor pipeline);
fn interrupt_at_the_end_changes_nothing(contract: &Contract) {
    let Some((run, mut pipe)) = start_printing(contract) else {
        return;
    };
    interrupt_with_warning(&run);
    drop(pipe.write);
    let mut stdout = Vec::new();
    pipe.read.read_to_end(&mut stdout).unwrap();
    let output = run.finish();
    output.assert_code(contract.success.code);
    let stdout = Bytes(stdout).text();
    assert_matches(stdout.trim_start_matches('\0'), contract.success.stdout);
    let warning = format!("{}: *; Ctrl-C again quits at once", contract.name);
    let messages = [contract.success.stderr, &[&warning]].concat();
    assert_lines(&output.stderr.text(), &messages);
}

test_programs!(second_interrupt_at_the_end_quits: checksum coordinator executor pipeline);
fn second_interrupt_at_the_end_quits(contract: &Contract) {
    let Some((run, pipe)) = start_printing(contract) else {
        return;
    };
    interrupt_with_warning(&run);
    interrupt_again(&run);
    run.finish().assert_code(130);
    drop(pipe);
}

/// A run that has done its work, and is blocked because it prints into a full pipe. `None` if the
/// system does not let the test find out.
fn start_printing(contract: &Contract) -> Option<(Run, Pipe)> {
    let directory = (contract.directory)();
    let pipe = Pipe::new();
    pipe.fill();
    let run = contract.invoke(&directory, contract.success.args);
    let run = run.stdout(pipe.write.try_clone().unwrap()).keep(directory);
    let run = run.start();
    let may_look = eventually("the results to be printed", || match run.is_held_up_by(1) {
        Some(false) => None,
        held_up => Some(held_up.is_some()),
    });
    may_look.then_some((run, pipe))
}

fn interrupt_with_warning(run: &Run) {
    run.interrupt();
    eventually("a warning", || {
        (warnings("INT", &run.stderr().text()) == 1).then_some(())
    });
}

test_programs!(second_interrupt_quits);
fn second_interrupt_quits(contract: &Contract) {
    assert_quits(contract, "INT", 130);
}

test_programs!(second_termination_quits);
fn second_termination_quits(contract: &Contract) {
    assert_quits(contract, "TERM", 143);
}

test_programs!(second_hang_up_changes_nothing);
/// When a terminal is closed, the shell and the system each send one.
fn second_hang_up_changes_nothing(contract: &Contract) {
    let Started { mut run, _needs } = (contract.interrupts.endless)();
    signal_once(&mut run, "HUP");
    run.signal("HUP");
    eventually("the second SIGHUP to arrive", || {
        (!run.has_signal("ShdPnd", Signal::SIGHUP as u32)).then_some(())
    });
    signal_again(&run, "TERM");
    run.finish().assert_code(143);
}

test_programs!(interrupt_at_start_ends_program);
/// Perhaps before the program has read or started anything.
fn interrupt_at_start_ends_program(contract: &Contract) {
    let directory = (contract.directory)();
    let stdin = Pipe::new();
    let run = contract.invoke(&directory, contract.lasting);
    let mut run = run.stdin(stdin.read.try_clone().unwrap()).start();
    wait_for_handler(&run, Signal::SIGINT);
    run.interrupt();
    // Some end now, and the others at the second one.
    let has_ended = eventually("a reaction to the first one", || {
        let has_ended = run.child.try_wait().unwrap().is_some();
        (has_ended || warnings("INT", &run.stderr().text()) == 1).then_some(has_ended)
    });
    if !has_ended {
        interrupt_again(&run);
    }
    run.finish().assert_code(130);
}

fn wait_for_handler(run: &Run, signal: Signal) {
    eventually("the handler of a signal", || {
        run.has_signal("SigCgt", signal as u32).then_some(())
    });
}

fn assert_quits(contract: &Contract, signal: &str, code: i32) {
    let interrupts = &contract.interrupts;
    let Started { mut run, _needs } = (interrupts.endless)();
    signal_once(&mut run, signal);
    signal_again(&run, signal);

    let output = run.finish();
    output.assert_code(code);
    assert_matches(&output.stdout.text(), interrupts.stdout);
    assert_eq!(warnings(signal, &output.stderr.text()), 1);
}

/// Interrupts a run that does not end after the first Ctrl-C, and waits for its reaction.
#[track_caller]
pub(crate) fn interrupt_once(run: &mut Run) {
    signal_once(run, "INT");
}

#[track_caller]
fn signal_once(run: &mut Run, signal: &str) {
    run.signal(signal);
    eventually("a warning after the first signal", || {
        (warnings(signal, &run.stderr().text()) == 1).then_some(())
    });
    assert_eq!(run.child.try_wait().unwrap(), None, "the program has ended");
}

/// Interrupts a run that has reacted to the first Ctrl-C.
pub(crate) fn interrupt_again(run: &Run) {
    signal_again(run, "INT");
}

fn signal_again(run: &Run, signal: &str) {
    // The program reacts after it has taken the first one. So this time is over for it, too.
    thread::sleep(ONE_REQUEST);
    run.signal(signal);
}

/// The number of lines that say what a second signal does.
fn warnings(signal: &str, stderr: &str) -> usize {
    let again = match signal {
        "INT" => "Ctrl-C again",
        "HUP" => "SIGTERM",
        _ => "a second SIGTERM",
    };
    let end = format!("; {again} quits at once\n");
    let lines = stderr.split_inclusive('\n');
    lines.filter(|line| line.ends_with(&end)).count()
}
