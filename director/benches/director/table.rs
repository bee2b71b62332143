//! The figures, for people as they come and for machines in the end.

use serde_json::{Value, json};

use crate::Measured;
use crate::limit::{self, CHECKS, SIGNATURES};

/// What was asked for, and what is known of it.
pub(crate) struct Table {
    /// Part of the names of the figures that are wanted.
    only: Option<String>,
    /// Where the figures go for machines.
    json: Option<String>,
    /// Manifest cycles at best, per second of processor time.
    limit: f64,
    /// The same where every signature is checked before it goes out, as a `Signer` does.
    checked: f64,
    pub(crate) engine: String,
    figures: Vec<Value>,
}

impl Table {
    /// Measures the limits, and prints them.
    pub(crate) fn begin() -> Self {
        let (mut only, mut json) = (None, None);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // From cargo.
                "--bench" => {}
                "--json" => json = arguments.next(),
                _ => only = Some(argument),
            }
        }
        let limit = limit::cycles(CHECKS);
        let checked = limit::cycles(CHECKS + SIGNATURES);
        let all = CHECKS + SIGNATURES;
        println!("per second of processor time:");
        println!(
            "    {limit:8.0}  limit: {CHECKS} checks and {SIGNATURES} signatures, Ed25519, in a loop"
        );
        println!(
            "    {checked:8.0}  the same with {all} checks: a signature is checked before it is given out"
        );
        Self {
            only,
            json,
            limit,
            checked,
            engine: String::new(),
            figures: Vec::new(),
        }
    }

    /// Manifest cycles, beside what a processor could do at best.
    pub(crate) async fn cycles(&mut self, figure: &str, measure: impl Future<Output = Measured>) {
        let Some(measured) = self.measured(figure, measure).await else {
            return;
        };
        let of_limit = measured.rate() / self.limit;
        let of_checked = measured.rate() / self.checked;
        let parts = format!(
            ", {of_limit:.2} of the limit ({of_checked:.2} with {} checks)",
            CHECKS + SIGNATURES
        );
        let parts_of = json!({ "of_limit": of_limit, "of_limit_checked": of_checked });
        self.add(figure, &measured, (&parts, parts_of));
    }

    /// Polls, which need no signature.
    pub(crate) async fn polls(&mut self, figure: &str, measure: impl Future<Output = Measured>) {
        if let Some(measured) = self.measured(figure, measure).await {
            self.add(figure, &measured, ("", json!({})));
        }
    }

    async fn measured(
        &self,
        figure: &str,
        measure: impl Future<Output = Measured>,
    ) -> Option<Measured> {
        let wanted = self.only.as_ref().is_none_or(|part| figure.contains(part));
        match wanted {
            true => Some(measure.await),
            false => None,
        }
    }

    fn add(&mut self, figure: &str, measured: &Measured, (parts, mut json): (&str, Value)) {
        let on_machine = measured.done as f64 / measured.wall;
        println!(
            "    {:8.0}  {}: {figure}{parts}; {on_machine:.0}/s on this machine",
            measured.rate(),
            self.engine,
        );
        json["engine"] = (*self.engine).into();
        json["figure"] = figure.into();
        json["per_cpu_second"] = measured.rate().into();
        json["per_second"] = on_machine.into();
        self.figures.push(json);
    }

    /// Writes the file for machines, if one was asked for.
    pub(crate) fn write(self) {
        let Some(path) = self.json else { return };
        let json = json!({
            "limit_per_cpu_second": self.limit,
            "limit_checked_per_cpu_second": self.checked,
            "figures": self.figures,
        });
        std::fs::write(path, format!("{json:#}\n")).unwrap();
    }
}
