//! What was set and has no effect.

use super::settings::Settings;

/// What may stand alone in a log filter; any other word alone is the name of a target.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Settings {
    /// A sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let plain = Self::default();
        for (key, value, fixed) in [
            ("order_task_queue", &self.order_task_queue, &plain.order_task_queue),
            ("shipping_task_queue", &self.shipping_task_queue, &plain.shipping_task_queue),
        ] {
            if value != fixed {
                warnings.push(format!("{key} = {value:?} has no effect: the queue is called {fixed:?}"));
            }
        }
        if self.temporal_target.is_some() {
            warnings.push("temporal_target has no effect: this build runs its workflows itself".to_owned());
        }
        let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        let word = self.log_level.trim();
        if word.chars().all(char::is_alphabetic) && !word.is_empty() && !is_level(word) {
            warnings.push(format!("log_level = {word:?} names a target and no level: nothing else is logged"));
        }
        warnings
    }
}
