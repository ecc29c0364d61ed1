//! Keys, owners and the audit: their rows, and how they are read.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::connection::Any;
use super::error::classify;
use super::schema::{api_keys, audit, workflows};
use crate::access::{Digest, Key, Owner, Scopes};
use crate::model::{Timestamp, WorkflowId};
use crate::store::{AuditEntry, AuditFilter, StoreError, StoredAudit};

#[derive(Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub struct KeyRow<'a> {
    id: &'a str,
    name: &'a str,
    hash: String,
    scopes: String,
    owner: Option<&'a str>,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl<'a> KeyRow<'a> {
    pub fn of(key: &'a Key) -> Self {
        Self {
            id: &key.id,
            name: &key.name,
            hash: key.digest.to_hex(),
            scopes: key.scopes.to_string(),
            owner: key.owner.as_deref(),
            created_at: key.created_at.0,
            revoked_at: key.revoked_at.map(|at| at.0),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
pub struct AuditRow<'a> {
    pub at: i64,
    pub method: &'a str,
    pub route: &'a str,
    pub order_id: Option<&'a str>,
    pub key_id: Option<&'a str>,
    pub key_name: Option<&'a str>,
    pub status: i32,
    pub reason: Option<&'a str>,
    pub remote: Option<String>,
}

impl<'a> AuditRow<'a> {
    pub fn of(entry: &'a AuditEntry) -> Self {
        Self {
            at: entry.at.0,
            method: &entry.method,
            route: &entry.route,
            order_id: entry.order.as_ref().map(WorkflowId::as_str),
            key_id: entry.key.as_ref().map(|(id, _)| id.as_ref()),
            key_name: entry.key.as_ref().map(|(_, name)| name.as_ref()),
            status: entry.status.into(),
            reason: entry.reason.as_deref(),
            remote: entry.remote.map(|ip| ip.to_string()),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct AuditRead {
    id: i64,
    at: i64,
    method: String,
    route: String,
    order_id: Option<String>,
    key_id: Option<String>,
    key_name: Option<String>,
    status: i32,
    reason: Option<String>,
    remote: Option<String>,
}

impl From<AuditRead> for StoredAudit {
    fn from(row: AuditRead) -> Self {
        Self {
            id: row.id as u64,
            at: Timestamp(row.at),
            method: row.method,
            route: row.route,
            order_id: row.order_id,
            key_id: row.key_id,
            key_name: row.key_name,
            status: u16::try_from(row.status).unwrap_or_default(),
            reason: row.reason,
            remote: row.remote,
        }
    }
}

type KeyRead = (String, String, String, String, Option<String>, i64, Option<i64>);

pub fn keys(c: &mut Any) -> Result<Vec<Key>, StoreError> {
    let rows = api_keys::table.select(api_keys::all_columns).load::<KeyRead>(c).map_err(classify)?;
    let read = |(id, name, hash, scopes, owner, created, revoked): KeyRead| {
        let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of the API key {id}"));
        Ok(Key {
            digest: Digest::parse(&hash).ok_or_else(|| corrupt("the hash"))?,
            scopes: Scopes::parse(&scopes).ok_or_else(|| corrupt("the scopes"))?,
            name: name.into(),
            owner: owner.map(Into::into),
            created_at: Timestamp(created),
            revoked_at: revoked.map(Timestamp),
            id: id.into(),
        })
    };
    rows.into_iter().map(read).collect()
}

pub fn key_counts(c: &mut Any) -> Result<(i64, i64), StoreError> {
    use diesel::dsl::{count, count_star};
    api_keys::table.select((count_star(), count(api_keys::revoked_at))).first(c).map_err(classify)
}

pub fn audit(c: &mut Any, filter: &AuditFilter) -> Result<Vec<StoredAudit>, StoreError> {
    let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let mut query = audit::table.filter(audit::id.gt(after)).limit(limit).select(AuditRead::as_select()).into_boxed();
    if let Some(order) = &filter.order {
        query = query.filter(audit::order_id.eq(order));
    }
    query = if filter.newest_first { query.order(audit::id.desc()) } else { query.order(audit::id) };
    Ok(query.load(c).map_err(classify)?.into_iter().map(Into::into).collect())
}

pub fn owner(c: &mut Any, id: &WorkflowId) -> Result<Option<Option<Owner>>, StoreError> {
    let row = workflows::table.filter(workflows::id.eq(id.as_str())).select(workflows::owner);
    let row: Option<Option<String>> = row.first(c).optional().map_err(classify)?;
    Ok(row.map(|owner| owner.map(Into::into)))
}

pub fn stats_of(c: &mut Any, owner: &str) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
    use workflows::{kind, state};
    let rows = workflows::table
        .filter(workflows::owner.eq(owner))
        .group_by((kind, state))
        .select((kind, state, diesel::dsl::count_star()))
        .load::<(String, String, i64)>(c)
        .map_err(classify)?;
    let mut stats: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (of, name, n) in rows {
        stats.entry(of).or_default().insert(name, n);
    }
    Ok(stats)
}
