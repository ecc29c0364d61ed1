//! The pure machines: told as stories, tried with whatever inputs, crashed at every point, simulated. No HTTP and no disk.

mod crash_points;
mod fuzz_properties;
mod golden_histories;
mod ids;
mod import;
mod job_task;
mod life;
mod order;
mod order_properties;
mod scene;
mod simulation;
