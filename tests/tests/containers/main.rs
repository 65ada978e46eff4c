//! Containers of real runtimes, from their start to their stop, as a sensor tells of them.
//!
//! Each test has a control group of its own, which its sensor is confined to and its containers are made in, and a folder
//! that its runtime keeps everything in. Nothing is fetched: the image is busybox, packed by the test.
#![expect(clippy::unwrap_used, reason = "tests")]

mod containerd;
mod docker;
#[expect(clippy::indexing_slicing, reason = "tests")]
mod escape;
mod image;
mod place;
mod podman;
mod seclusion;
mod sensor;
mod told;
