//! The tables as diesel sees them, and the rows that are written and read.

use diesel::prelude::*;

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
