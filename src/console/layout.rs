//! The frame of every page: head, navigation, the line that says how live it is, help.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;

/// What stands around the main part of a page.
pub struct Shell<'a> {
    pub title: &'a str,
    /// The path of the section it belongs to.
    pub section: &'a str,
    /// The stream that tells of changes; `None`: the page does not change.
    pub stream: Option<String>,
    /// The last event the page already shows.
    pub after: u64,
    /// Seconds after which it is out of date though nothing happened; 0: never.
    pub every_s: u32,
}

/// Paths and names of the sections, and the key that leads there after `g`.
const SECTIONS: [(&str, &str, &str); 6] = [
    ("/", "Orders", "o"),
    ("/console/needs", "Needs me", "n"),
    ("/console/work", "Tasks", "t"),
    ("/console/queues", "Queues", "q"),
    ("/console/overview", "Overview", "v"),
    ("/console/engine", "Engine", "e"),
];

impl Shell<'_> {
    pub fn render(&self, main: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · ordain" }
                    link rel="icon" href=(assets::path("mark.svg")) type="image/svg+xml";
                    style { (PreEscaped(assets::CSS)) }
                    // A module waits for the end of the page, the first picture not for it; what else there is, it fetches once
                    // that is painted.
                    script type="module" src=(assets::path("console.js")) {}
                }
                body data-stream=[self.stream.as_deref()] data-after=(self.after) data-every=(self.every_s) {
                    a.skip href="#main" { "Skip to content" }
                    (self.top())
                    div #banner role="status" aria-live="polite" {}
                    main #main tabindex="-1" { (main) }
                    (foot())
                    (help())
                }
            }
        }
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" { svg.mark viewBox="0 0 24 24" aria-hidden="true" {
                    path d="M4 6h9a5 5 0 0 1 0 10H8" {} circle cx="4" cy="6" r="2" {} path d="m11 12-4 4 4 4" {}
                } "ordain" }
                nav aria-label="Sections" {
                    @for (path, name, key) in SECTIONS {
                        a href=(path) data-key=(key) aria-current=[(path == self.section).then_some("page")] { (name) }
                    }
                }
                p.live #live { span.lamp aria-hidden="true" {} span #live-text { "as loaded" } }
            }
        }
    }
}

fn foot() -> Markup {
    html! {
        footer.foot {
            span { "ordain " (env!("CARGO_PKG_VERSION")) }
            a href="/docs/" { "API" }
            a href="/metrics" { "Metrics" }
            a href="/console/sign-in" { "Access" }
            span.keys { kbd { "?" } " keys" }
        }
    }
}

/// The keys, by page.
const KEYS: [(&str, &str); 11] = [
    ("/", "search"),
    ("j k", "next, previous row"),
    ("Enter", "open the row"),
    ("x", "select the row"),
    ("g o", "orders"),
    ("g n", "needs me"),
    ("g t", "jobs and tasks"),
    ("g q", "queues"),
    ("g v", "overview"),
    ("g e", "engine"),
    ("r", "raw JSON of the history"),
];

fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { "Keys" }
            dl.keys { @for (key, what) in KEYS { div { dt { kbd { (key) } } dd { (what) } } } }
            form method="dialog" { button { "Close" } }
        }
    }
}
