//! What a start and the signals of an order take.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type};

/// 1 to 128 characters out of `A-Z a-z 0-9 . _ : ~ -`, and not `.` or `..`.
#[derive(ToSchema, Deserialize)]
#[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._:~-]{1,128}$", example = "o-1")]
pub struct Id(pub String);

/// 1 to 128 visible ASCII characters.
#[derive(ToSchema, Deserialize)]
#[schema(pattern = "^[!-~]{1,128}$", example = "pay-1")]
pub struct PaymentName(pub String);

/// The name of a key or an owner: 1 to 64 characters, none of them a control character, no blank at an end.
#[derive(ToSchema, Deserialize)]
#[schema(pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$", example = "shop")]
pub struct Name(pub String);

/// An address: one line, or named fields, of at most 512 characters each.
#[derive(ToSchema, Deserialize)]
#[schema(example = json!({"street": "1 Main St", "city": "Berlin", "zip_code": "10115", "country": "DE"}))]
#[serde(untagged)]
pub enum AddressBody {
    Line(AddressLine),
    Fields(Box<AddressFields>),
}

/// Not blank.
#[derive(ToSchema, Deserialize)]
#[schema(max_length = 512, pattern = r"\S")]
pub struct AddressLine(pub String);

/// All of them as the client likes; what makes sense is for the order's validation to say.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressFields {
    #[schema(max_length = 512)]
    pub name: Option<String>,
    #[schema(max_length = 512)]
    pub recipient: Option<String>,
    #[schema(max_length = 512)]
    pub company: Option<String>,
    #[schema(max_length = 512)]
    pub street: Option<String>,
    #[schema(max_length = 512)]
    pub street2: Option<String>,
    #[schema(max_length = 512)]
    pub line1: Option<String>,
    #[schema(max_length = 512)]
    pub line2: Option<String>,
    #[schema(max_length = 512)]
    pub line: Option<String>,
    #[schema(max_length = 512)]
    pub house_number: Option<String>,
    #[schema(max_length = 512)]
    pub unit: Option<String>,
    #[schema(max_length = 512)]
    pub city: Option<String>,
    #[schema(max_length = 512)]
    pub state: Option<String>,
    #[schema(max_length = 512)]
    pub region: Option<String>,
    #[schema(max_length = 512)]
    pub province: Option<String>,
    #[schema(max_length = 512)]
    pub zip: Option<String>,
    #[schema(max_length = 512)]
    pub zip_code: Option<String>,
    #[schema(max_length = 512)]
    pub postal_code: Option<String>,
    #[schema(max_length = 512)]
    pub country: Option<String>,
    #[schema(max_length = 512)]
    pub country_code: Option<String>,
    #[schema(max_length = 512)]
    pub phone: Option<String>,
    #[schema(max_length = 512)]
    pub email: Option<String>,
    #[schema(max_length = 512)]
    pub notes: Option<String>,
}

/// An exact decimal of at most 18 digits before and 8 after the point.
#[derive(ToSchema, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    Text(AmountText),
    Number(AmountNumber),
}

#[derive(ToSchema, Deserialize)]
#[schema(pattern = r"^-?[0-9]{1,18}(\.[0-9]{1,8})?$", example = "49.90")]
pub struct AmountText(pub String);

#[derive(ToSchema, Deserialize)]
#[schema(exclusive_minimum = -1e18, exclusive_maximum = 1e18)]
pub struct AmountNumber(pub f64);

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemBody {
    #[schema(max_length = 256, example = "book")]
    pub sku: String,
    #[schema(example = 1)]
    pub quantity: i64,
    pub unit_price: Option<Amount>,
}

#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewBody {
    Auto,
    Manual,
}

/// What no attribute can say: how many keys there may be, and how long they are.
fn metadata() -> Object {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(Schema::Object(key.build())))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .max_properties(Some(64))
        .description(Some("At most 64 keys of 1 to 128 characters; 64 KiB in all."))
        .build()
}

/// A start. Every field is optional; unknown fields are refused.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "payment_id": "pay-1", "amount": "49.90", "currency": "USD", "review": "auto", "review_seconds": 2,
    "items": [{"sku": "book", "quantity": 1, "unit_price": "49.90"}],
    "address": {"street": "1 Main St", "city": "Berlin", "zip_code": "10115"}, "metadata": {"tier": "gold"}
}))]
pub struct StartBody {
    /// Must equal the path's.
    pub order_id: Option<Id>,
    pub payment_id: Option<PaymentName>,
    /// Another name of `payment_id`.
    pub payment_token: Option<PaymentName>,
    pub address: Option<AddressBody>,
    #[schema(max_items = 1000)]
    pub items: Option<Vec<ItemBody>>,
    /// Without it: what the items cost.
    pub amount: Option<Amount>,
    #[schema(pattern = "^[A-Z]{3}$", example = "USD")]
    pub currency: Option<String>,
    pub review: Option<ReviewBody>,
    /// How long an automatic review lasts.
    #[schema(minimum = 0, maximum = 315360000)]
    pub review_seconds: Option<f64>,
    /// After how long an unanswered manual review ends the order; 0: never.
    #[schema(minimum = 0, maximum = 315360000)]
    pub review_deadline_seconds: Option<f64>,
    /// The running time of the whole order; 0: no deadline.
    #[schema(minimum = 0, maximum = 315360000)]
    pub deadline_seconds: Option<f64>,
    /// At most 64 keys of 1 to 128 characters; 64 KiB in all.
    #[schema(schema_with = metadata)]
    pub metadata: Option<BTreeMap<String, Value>>,
}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyBody {}

#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    #[schema(max_length = 1024, example = "changed my mind")]
    pub reason: Option<String>,
}

/// One of the two.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"address": {"street": "2 Side St", "city": "Berlin", "zip_code": "10117"}}))]
pub struct UpdateAddressBody {
    pub address: Option<AddressBody>,
    pub new_address: Option<AddressLine>,
}
