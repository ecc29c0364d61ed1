//! The web console: an order team's window. Pages are made on the server, from the same documents the API answers
//! with, and show what is durable, nothing else.
//!
//! No rule about orders is decided here, no SQL is written; whatever a page asks for goes through the engine. All text
//! that comes from outside is escaped by the templates. Works without JavaScript; `static/console.js` adds the live
//! updates, the keys and the clocks.

mod actions;
mod assets;
mod batch;
mod batch_run;
mod charts;
mod diff;
mod doc;
mod engine;
mod facts;
mod form;
mod history;
mod latency;
mod layout;
mod list;
mod list_view;
mod live;
mod needs;
mod order;
mod order_view;
mod overview;
mod queues;
mod queues_view;
mod recovered;
mod reply;
mod samples;
pub mod sign_in;
mod span;
mod timeline;
mod who;
mod words;
mod work;
mod work_doc;
mod work_view;

pub use list::page as front;
pub use samples::Console;

use actix_web::web::{self, ServiceConfig};

use crate::http::routes::{get, looking, post, resource};

/// The console's own routes; its front page is what a browser gets at `/`.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(get("/console/static/{file}", assets::file))
        .service(get("/console/live", live::ticks))
        .service(get("/console/boot", live::boot))
        .service(resource(
            "/console/sign-in",
            "GET, HEAD, POST",
            [looking(sign_in::show), web::post().to(sign_in::sign_in)],
        ))
        .service(post("/console/sign-out", &[], sign_in::sign_out))
        .service(get("/console/needs", needs::page))
        .service(get("/console/overview", overview::page))
        .service(get("/console/engine", engine::page))
        .service(get("/console/work", work::page))
        .service(get("/console/work/{task_id}", work::one))
        .service(post("/console/work/{task_id}/cancel", &[], work::cancel))
        .service(get("/console/queues", queues::page))
        .service(resource(
            "/console/queues/{queue}",
            "GET, HEAD, POST",
            [looking(queues::one), web::post().to(queues::change)],
        ))
        .service(post("/console/batch", &[], batch::batch))
        .service(get("/console/batch/{batch}", batch_run::page))
        .service(get("/console/orders/{order_id}", order::page))
        .service(post("/console/orders/{order_id}/{action}", &[], actions::act));
}
