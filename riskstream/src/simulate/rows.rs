//! The table that a simulation makes.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::customer::card_number;
use super::purchase::Purchase;
use super::world::World;

/// Digits of an amount, and those behind the point.
const AMOUNT: (u8, i8) = (12, 2);

/// The columns: see `riskstream simulate --help` for their meaning.
pub(super) fn schema() -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("transaction_id", DataType::Int64, false),
        Field::new("event_time", instant(), false),
        Field::new("customer_id", DataType::Int64, false),
        Field::new("card_number", DataType::Utf8, false),
        Field::new("terminal_id", DataType::Int64, false),
        Field::new("merchant_category", DataType::Utf8, false),
        Field::new("amount", DataType::Decimal128(AMOUNT.0, AMOUNT.1), false),
        Field::new("currency", DataType::Utf8, false),
        Field::new("channel", DataType::Utf8, false),
        Field::new("country", DataType::Utf8, false),
        Field::new("latitude", DataType::Float64, true),
        Field::new("longitude", DataType::Float64, true),
        Field::new("device_id", DataType::Utf8, true),
        Field::new("fraud", DataType::Int64, false),
        Field::new("label_known_at", instant(), true),
        Field::new("scenario", DataType::Utf8, true),
    ]))
}

/// Turns purchases into rows, numbered as they come.
pub(super) fn batch(
    seed: u64,
    first_id: i64,
    purchases: &[Purchase],
    world: &World,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::default();
    for (id, purchase) in (first_id..).zip(purchases) {
        columns.push(seed, id, purchase, world);
    }
    columns.finish()
}

#[derive(Default)]
struct Columns {
    transaction_id: Int64Builder,
    event_time: TimestampMillisecondBuilder,
    customer_id: Int64Builder,
    card_number: StringBuilder,
    terminal_id: Int64Builder,
    merchant_category: StringBuilder,
    amount: Decimal128Builder,
    currency: StringBuilder,
    channel: StringBuilder,
    country: StringBuilder,
    latitude: Float64Builder,
    longitude: Float64Builder,
    device_id: StringBuilder,
    fraud: Int64Builder,
    label_known_at: TimestampMillisecondBuilder,
    scenario: StringBuilder,
}

impl Columns {
    fn push(&mut self, seed: u64, id: i64, purchase: &Purchase, world: &World) {
        let terminal = world.terminal(purchase.terminal);
        self.transaction_id.append_value(id);
        self.event_time.append_value(purchase.at_ms);
        self.customer_id.append_value(i64::from(purchase.customer));
        self.card_number
            .append_value(card_number(seed, purchase.customer, purchase.cards_before));
        self.terminal_id.append_value(i64::from(purchase.terminal));
        self.merchant_category.append_value(terminal.category.name);
        self.amount.append_value(i128::from(purchase.amount_minor));
        self.currency.append_value("EUR");
        self.channel.append_value(purchase.channel.name());
        self.country.append_value(terminal.country);
        self.latitude.append_option(terminal.place.map(|p| degrees(p.0)));
        self.longitude.append_option(terminal.place.map(|p| degrees(p.1)));
        self.device_id
            .append_option(purchase.device.map(|d| format!("dev-{d:016x}")));
        self.fraud.append_value(i64::from(purchase.fraud.is_some()));
        self.label_known_at
            .append_option(purchase.fraud.and_then(|f| f.known_at_ms));
        self.scenario
            .append_option(purchase.fraud.map(|f| f.scenario.name()));
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let utc = |mut times: TimestampMillisecondBuilder| times.finish().with_timezone("UTC");
        let amount = self
            .amount
            .finish()
            .with_precision_and_scale(AMOUNT.0, AMOUNT.1)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.transaction_id.finish()),
            Arc::new(utc(self.event_time)),
            Arc::new(self.customer_id.finish()),
            Arc::new(self.card_number.finish()),
            Arc::new(self.terminal_id.finish()),
            Arc::new(self.merchant_category.finish()),
            Arc::new(amount),
            Arc::new(self.currency.finish()),
            Arc::new(self.channel.finish()),
            Arc::new(self.country.finish()),
            Arc::new(self.latitude.finish()),
            Arc::new(self.longitude.finish()),
            Arc::new(self.device_id.finish()),
            Arc::new(self.fraud.finish()),
            Arc::new(utc(self.label_known_at)),
            Arc::new(self.scenario.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

/// An angle to about ten metres.
fn degrees(angle: f64) -> f64 {
    (angle * 10_000.0).round() / 10_000.0
}
