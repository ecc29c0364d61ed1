//! The console: as HTML over real HTTP, and in a real headless Chromium.

mod browser;
mod browser_pages;
mod common;
mod html;
mod pages;
#[path = "../support/mod.rs"]
mod support;
