//! What a feature definition may say.

use std::time::Duration;

use super::{Compiler, MAX_SPAN, night};
use crate::calendar::{Night, Zone};
use crate::error::Place;
use crate::spec::{AMOUNT, Aggregate, FeatureSpec};

impl Compiler<'_> {
    pub(super) fn check(&mut self, index: usize, spec: &FeatureSpec) {
        let place = Place::Feature(index);
        if spec.name.trim().is_empty() {
            self.problem(place, "the name is empty: name the feature's column");
        }
        if let Some(first) = self.specs[..index]
            .iter()
            .position(|other| other.name == spec.name)
        {
            let name = &spec.name;
            self.problem(
                place,
                format!("{name:?} is already the name of features[{first}]: choose another"),
            );
        }
        self.check_window(place, spec);
        self.check_field(place, spec);
        self.check_calendar(place, spec);
    }

    fn check_window(&mut self, place: Place, spec: &FeatureSpec) {
        let (aggregate, name) = (spec.aggregate, spec.aggregate.as_str());
        if aggregate.needs_window() {
            if spec.entity.is_none() {
                self.problem(
                    place,
                    format!("{name} needs an entity: add entity = {:?}", self.stage.entity),
                );
            }
            if spec.window.is_none() {
                self.problem(place, format!("{name} needs a window: add window = \"7d\""));
            }
        } else {
            if spec.entity.is_some() {
                self.problem(place, format!("{name} is of the row alone: remove entity"));
            }
            if spec.window.is_some() {
                self.problem(place, format!("{name} looks at no window: remove window"));
            }
        }
        if spec.delay.is_some() && !aggregate.takes_delay() {
            self.problem(place, format!("{name} takes no delay: remove delay"));
        }
        self.check_span(place, "window", spec.window, Duration::from_micros(1));
        self.check_span(place, "delay", spec.delay, Duration::ZERO);
    }

    pub(super) fn check_span(&mut self, place: Place, what: &str, span: Option<Duration>, least: Duration) {
        let Some(span) = span else { return };
        if span < least {
            self.problem(
                place,
                format!("the {what} is too short: it must be at least a microsecond"),
            );
        }
        if span > MAX_SPAN {
            self.problem(place, format!("the {what} is above 100 years: shorten it"));
        }
        if span.subsec_nanos() % 1000 != 0 {
            self.problem(
                place,
                format!("the {what} is not a whole number of microseconds: round it"),
            );
        }
    }

    fn check_field(&mut self, place: Place, spec: &FeatureSpec) {
        let (aggregate, name) = (spec.aggregate, spec.aggregate.as_str());
        match &spec.field {
            None if aggregate.needs_field() => {
                self.problem(place, format!("{name} needs a field: add field = \"{AMOUNT}\""));
            }
            Some(_) if !aggregate.needs_field() && aggregate != Aggregate::Amount => {
                self.problem(place, format!("{name} takes no field: remove field"));
            }
            Some(field) if !self.is_available(field) => {
                let known = self.stage.fields.join(", ");
                let message =
                    format!("there is no numeric field {field:?}: use {AMOUNT} or one of [{known}]");
                self.problem(place, message);
            }
            _ => {}
        }
    }

    fn check_calendar(&mut self, place: Place, spec: &FeatureSpec) {
        let name = spec.aggregate.as_str();
        if let Some(zone) = &spec.time_zone {
            if !spec.aggregate.is_calendar() {
                self.problem(
                    place,
                    format!("{name} does not go by the calendar: remove time_zone"),
                );
            } else if Zone::named(zone).is_none() {
                self.problem(
                    place,
                    format!("there is no time zone {zone:?}: use an IANA name such as Europe/Berlin"),
                );
            }
        }
        if spec.aggregate == Aggregate::Night {
            let Night { from_hour, to_hour } = night(spec);
            if from_hour > 23 || to_hour > 24 || from_hour == to_hour {
                let message = "the night has no such hours: from_hour 0 to 23, to_hour 0 to 24, not the same";
                self.problem(place, message);
            }
        } else if spec.from_hour.is_some() || spec.to_hour.is_some() {
            self.problem(
                place,
                format!("{name} knows no night: remove from_hour and to_hour"),
            );
        }
    }

    fn is_available(&self, field: &str) -> bool {
        field == AMOUNT || self.stage.fields.iter().any(|known| known == field)
    }
}
