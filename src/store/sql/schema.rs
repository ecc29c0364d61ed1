//! The tables as diesel sees them, and the rows that are written and read.

use diesel::prelude::*;

use crate::kernel::Transition;
use crate::model::{Key, RunId, Timestamp, WorkflowId};
use crate::store::{StoreError, StoredAnswer, StoredPayment, StoredWorkflow};

diesel::table! {
    workflows (key) {
        key -> BigInt,
        id -> Text,
        root -> BigInt,
        parent -> Nullable<Text>,
        owner -> Nullable<Text>,
        kind -> Text,
        run_id -> Text,
        state -> Text,
        seq -> BigInt,
        wake_at -> Nullable<BigInt>,
        attempts -> Integer,
        retrying -> Bool,
        paused -> Bool,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        epoch -> BigInt,
        snapshot -> Text,
    }
}

diesel::table! {
    transitions (id) {
        id -> BigInt,
        workflow -> BigInt,
        seq -> BigInt,
        at -> BigInt,
        facts -> Text,
    }
}

diesel::table! {
    payments (payment_id) {
        payment_id -> Text,
        order_id -> Text,
        status -> Text,
        amount -> Text,
        currency -> Text,
        created_at -> Text,
        updated_at -> Text,
    }
}

diesel::table! {
    state_counts (kind, state) {
        kind -> Text,
        state -> Text,
        n -> BigInt,
    }
}

diesel::table! {
    answers (key) {
        key -> Text,
        fingerprint -> Text,
        outcome -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        name -> Text,
        hash -> Text,
        scopes -> Text,
        owner -> Nullable<Text>,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        at -> BigInt,
        method -> Text,
        route -> Text,
        order_id -> Nullable<Text>,
        key_id -> Nullable<Text>,
        key_name -> Nullable<Text>,
        status -> Integer,
        reason -> Nullable<Text>,
        remote -> Nullable<Text>,
    }
}

diesel::table! {
    owner (id) {
        id -> Integer,
        epoch -> BigInt,
    }
}

diesel::table! {
    queues (name) {
        name -> Text,
        change -> Text,
    }
}

diesel::table! {
    secrets (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    results (workflow, name) {
        workflow -> BigInt,
        name -> Text,
        at -> BigInt,
        body -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(workflows, transitions);

/// A row of `workflows` to be written. Every field is given, so that many rows are one statement.
#[derive(Insertable)]
#[diesel(table_name = workflows, treat_none_as_default_value = false)]
pub struct WorkflowRow<'a> {
    key: i64,
    id: &'a str,
    root: i64,
    parent: Option<&'a str>,
    owner: Option<&'a str>,
    kind: &'a str,
    run_id: String,
    state: &'a str,
    seq: i64,
    wake_at: Option<i64>,
    attempts: i32,
    retrying: bool,
    paused: bool,
    last_error: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    epoch: i64,
    snapshot: &'a str,
}

impl<'a> WorkflowRow<'a> {
    /// `owner`: kept only where the row is new.
    pub fn of(t: &'a Transition, owner: Option<&'a str>, epoch: i64) -> Self {
        Self {
            key: t.key.0,
            id: t.id.as_str(),
            root: t.root.0,
            parent: t.parent.as_ref().map(WorkflowId::as_str),
            owner,
            kind: t.kind,
            run_id: t.run_id.to_string(),
            state: t.state,
            seq: t.seq as i64,
            wake_at: t.wake_at.map(|at| at.0),
            attempts: i32::try_from(t.attempts).unwrap_or(i32::MAX),
            retrying: t.retrying,
            paused: t.paused,
            last_error: t.last_error,
            created_at: t.created_at.0,
            updated_at: t.at.0,
            ended_at: t.ended_at.map(|at| at.0),
            epoch,
            snapshot: &t.snapshot,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = transitions, treat_none_as_default_value = false)]
pub struct TransitionRow<'a> {
    pub id: i64,
    pub workflow: i64,
    pub seq: i64,
    pub at: i64,
    pub facts: &'a str,
}

#[derive(Insertable)]
#[diesel(table_name = payments, treat_none_as_default_value = false)]
pub struct PaymentRowNew<'a> {
    payment_id: String,
    order_id: &'a str,
    status: &'a str,
    amount: String,
    currency: String,
    created_at: String,
    updated_at: String,
}

impl<'a> PaymentRowNew<'a> {
    pub fn of(t: &'a Transition) -> Option<Self> {
        let payment = t.payment.as_ref()?;
        let at = t.at.to_string();
        Some(Self {
            payment_id: payment.payment_id.as_str().to_owned(),
            order_id: t.id.as_str(),
            status: payment.status.as_str(),
            amount: payment.money.amount.to_string(),
            currency: payment.money.currency.to_string(),
            created_at: at.clone(),
            updated_at: at,
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = results, treat_none_as_default_value = false)]
pub struct ResultRowNew<'a> {
    pub workflow: i64,
    pub name: &'a str,
    pub at: i64,
    pub body: &'a str,
}

impl<'a> ResultRowNew<'a> {
    /// The rows a transition brings.
    pub fn of(t: &'a Transition) -> impl Iterator<Item = Self> {
        let (workflow, at) = (t.root.0, t.at.0);
        t.results.iter().map(move |row| Self { workflow, name: &row.name, at, body: &row.body })
    }
}

#[derive(Insertable)]
#[diesel(table_name = answers, treat_none_as_default_value = false)]
pub struct AnswerRow<'a> {
    pub key: &'a str,
    pub fingerprint: &'a str,
    pub outcome: &'a str,
    pub at: i64,
}

/// A row of `workflows` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = workflows)]
pub struct WorkflowRead {
    key: i64,
    id: String,
    pub root: i64,
    parent: Option<String>,
    owner: Option<String>,
    kind: String,
    run_id: String,
    state: String,
    seq: i64,
    created_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    snapshot: String,
}

impl TryFrom<WorkflowRead> for StoredWorkflow {
    type Error = StoreError;

    fn try_from(row: WorkflowRead) -> Result<Self, StoreError> {
        let run_id = row.run_id.parse().map_err(|_| StoreError::Corrupt(format!("run_id of {}", row.id)))?;
        Ok(Self {
            key: Key(row.key),
            root: Key(row.root),
            id: WorkflowId::new(row.id),
            parent: row.parent.map(WorkflowId::new),
            owner: row.owner.map(Into::into),
            kind: row.kind,
            run_id: RunId(run_id),
            state: row.state,
            seq: row.seq as u64,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            ended_at: row.ended_at.map(Timestamp),
            snapshot: row.snapshot,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = answers)]
pub struct AnswerRead {
    key: String,
    fingerprint: String,
    outcome: String,
    at: i64,
}

impl From<AnswerRead> for StoredAnswer {
    fn from(row: AnswerRead) -> Self {
        Self { key: row.key, fingerprint: row.fingerprint, outcome: row.outcome, at: Timestamp(row.at) }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = payments)]
pub struct PaymentRead {
    payment_id: String,
    order_id: String,
    status: String,
    amount: String,
    currency: String,
}

impl From<PaymentRead> for StoredPayment {
    fn from(row: PaymentRead) -> Self {
        Self {
            payment_id: row.payment_id,
            order_id: row.order_id,
            status: row.status,
            amount: row.amount,
            currency: row.currency,
        }
    }
}
