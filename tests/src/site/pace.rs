//! Time that is part of a play: how long a fault lasts, how often it strikes. What a play waits for is asked for, with
//! [`crate::wait`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lets a fault last.
pub fn lasts(how_long: Duration) {
    std::thread::sleep(how_long);
}

/// Does something again and again in a thread of its own, until what it gives back is called.
pub fn again_and_again(every: Duration, mut what: impl FnMut() + Send + 'static) -> impl FnOnce() {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let thread = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            what();
            std::thread::sleep(every);
        }
    });
    move || {
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("a fault's thread ends well");
    }
}
