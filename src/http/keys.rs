//! `GET /keys`, `POST /keys`, `DELETE /keys/{key_id}`: the API keys of the database, beside those of the configuration.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};

use super::access::{Audited, Visit};
use super::json::{At, Fault, Faults, Json, object, text};
use super::orders::{Outcome, send};
use super::problem::Problem;
use super::query::Query;
use super::schema::{KeyBody, KeyList, KeyMade, KeyView};
use super::site::by;
use super::{Site, body};
use crate::access::{KEYS_MAX, Key, KeyChange, NAME_CHARS_MAX, Owner, Scope, Scopes, Secret, check_name, new_id};

/// The API keys
///
/// Without their secrets, which are kept nowhere.
#[utoipa::path(
    get, path = "/keys", operation_id = "keys", tag = "access",
    responses((status = 200, description = "All of them, revoked ones included, the oldest first", body = KeyList))
)]
pub async fn list(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let of = |keys: Vec<Arc<Key>>, configured| keys.into_iter().map(move |key| shown(&key, configured));
    let stored = site.engine()?.keys().all();
    let keys: Vec<Value> = of(site.gate.configured().all(), true).chain(of(stored, false)).collect();
    Ok(send(HttpResponse::Ok(), json!({ "keys": keys }).to_string()))
}

fn shown(key: &Key, configured: bool) -> Value {
    json!({
        "key_id": key.id,
        "name": key.name,
        "scopes": key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "owner": key.owner,
        "configured": configured,
        "created_at": if configured { None } else { Some(key.created_at) },
        "revoked_at": key.revoked_at,
    })
}

/// Make an API key
///
/// The answer is the only place where its secret is ever shown; therefore no `Idempotency-Key` is taken, which would
/// have it kept. With the first key there is, every route but the open ones needs one.
#[utoipa::path(
    post, path = "/keys", operation_id = "create_key", tag = "access",
    request_body = KeyBody,
    responses(
        (status = 201, description = "Made; it is on disk", body = KeyMade, headers(("Location" = String, description = "To revoke it: DELETE"))),
        (status = 409, description = "`too_many_keys`"),
    )
)]
pub async fn create(req: HttpRequest, site: Data<Site>, payload: Payload) -> Outcome {
    let deadline = site.deadline();
    let bytes = body::read(&req, payload, site.options.body_limit_bytes, deadline).await?;
    Query::read(req.query_string()).finish().or(())?;
    if req.headers().contains_key("idempotency-key") {
        let why = "an answer with a secret is not kept, so it cannot be given again";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_not_taken", why));
    }
    let wanted = read(body::json(&bytes)?.as_ref())?;
    let engine = site.engine()?;
    if engine.keys().len() >= KEYS_MAX {
        let why = format!("there are {KEYS_MAX} keys already, revoked ones included");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_keys", why));
    }
    let no_randomness = |error| {
        tracing::error!(%error, "no key can be made");
        Problem::internal()
    };
    let secret = Secret::generate().map_err(no_randomness)?;
    let key = Arc::new(Key {
        id: new_id().map_err(no_randomness)?,
        name: wanted.name.into(),
        digest: secret.digest(),
        scopes: wanted.scopes,
        owner: wanted.owner,
        created_at: engine.now(),
        revoked_at: None,
    });
    let visit = Visit::of(&req);
    visit.because(Some(&format!("made {}", key.id)));
    let entry = crate::store::AuditEntry { at: engine.now(), ..visit.entry(201) };
    by(deadline, engine.change_keys(KeyChange::Create(Arc::clone(&key)), Some(entry))).await?;
    let mut document = shown(&key, false);
    document["key"] = json!(secret.reveal());
    let mut response = audited(StatusCode::CREATED);
    response.insert_header((header::LOCATION, format!("/keys/{}", key.id)));
    Ok(send(response, document.to_string()))
}

/// Revoke an API key
///
/// It is refused from the next request on. One that is revoked already stays so.
#[utoipa::path(
    delete, path = "/keys/{key_id}", operation_id = "revoke_key", tag = "access",
    params(("key_id" = String, Path, example = "key-0123456789ab")),
    responses(
        (status = 200, description = "Revoked; it is on disk", body = KeyView),
        (status = 404, description = "`key_not_found`"),
        (status = 409, description = "`key_configured`: it stands in the configuration"),
    )
)]
pub async fn revoke(req: HttpRequest, site: Data<Site>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    let id = req.match_info().get("key_id").unwrap_or_default().to_owned();
    if site.gate.configured().by_id(&id).is_some() {
        let why = "this key stands in the configuration; take it out there and start the server again";
        return Err(Problem::new(StatusCode::CONFLICT, "key_configured", why));
    }
    let engine = site.engine()?;
    let visit = Visit::of(&req);
    visit.because(Some(&format!("revoked {}", id.chars().take(NAME_CHARS_MAX).collect::<String>())));
    let entry = crate::store::AuditEntry { at: engine.now(), ..visit.entry(200) };
    let change = KeyChange::Revoke { id: id.clone(), at: engine.now() };
    by(site.deadline(), engine.change_keys(change, Some(entry))).await?;
    let key = engine.keys().by_id(&id).ok_or_else(Problem::internal)?;
    Ok(send(audited(StatusCode::OK), shown(&key, false).to_string()))
}

fn audited(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.extensions_mut().insert(Audited);
    response
}

#[derive(Debug, PartialEq)]
struct Wanted {
    name: String,
    scopes: Scopes,
    owner: Option<Owner>,
}

/// Reads the body.
fn read(body: Option<&Json<'_>>) -> Result<Wanted, Vec<Fault>> {
    let mut faults = Faults::default();
    let root = At::ROOT;
    let (mut name, mut scopes, mut owner) = (None, Scopes::default(), None);
    for (key, json) in body.and_then(|body| object(body, &root, &mut faults)).unwrap_or_default() {
        let at = root.key(key);
        match (key.as_ref(), json) {
            ("owner", Json::Null) => {}
            ("name", json) => name = named(json, &at, &mut faults),
            ("owner", json) => owner = named(json, &at, &mut faults),
            ("scopes", Json::List(list)) => {
                let read = |(index, json): (usize, &Json<'_>)| match json {
                    Json::Text(text) if Scope::parse(text).is_some() => Scope::parse(text),
                    _ => {
                        faults.add(&at.index(index), "must be read, operate or admin");
                        None
                    }
                };
                scopes = Scopes::of(list.iter().enumerate().filter_map(read));
            }
            ("scopes", _) => faults.add(&at, "must be a list of read, operate, admin"),
            _ => faults.add(&at, "is not a field of a key"),
        }
    }
    let mut faults = match faults.or(()) {
        Ok(()) => Faults::default(),
        Err(list) => return Err(list),
    };
    if name.is_none() {
        faults.add(&root.key("name"), "is missing");
    }
    if scopes.is_empty() {
        faults.add(&root.key("scopes"), "must name one at least");
    }
    if owner.is_some() && scopes.contains(Scope::Admin) {
        faults.add(&root.key("owner"), "cannot be given with the scope admin, which concerns all orders");
    }
    faults.or(Wanted { name: name.unwrap_or_default(), scopes, owner: owner.map(Into::into) })
}

fn named(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<String> {
    let text = text(json, at, 4 * NAME_CHARS_MAX, faults)?;
    match check_name(text) {
        Ok(()) => Some(text.to_owned()),
        Err(why) => {
            faults.add(at, why);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::parse;

    #[test]
    fn a_key_needs_a_name_and_scopes_and_an_owners_key_does_not_administer() {
        let read = |body: &str| {
            let read = read(Some(&parse(body.as_bytes()).unwrap()));
            read.map_err(|faults| faults.into_iter().map(|f| f.pointer).collect::<Vec<_>>())
        };
        let scopes = Scopes::of([Scope::Read, Scope::Operate]);
        let wanted = Wanted { name: "shop".into(), scopes, owner: Some("a".into()) };
        assert_eq!(read(r#"{"name":"shop","scopes":["operate","read"],"owner":"a"}"#), Ok(wanted));
        for (body, pointers) in [
            ("{}", &["/name", "/scopes"][..]),
            (r#"{"name":"","scopes":["read"]}"#, &["/name"]),
            (r#"{"name":"a","scopes":["write"]}"#, &["/scopes/0"]),
            (r#"{"name":"a","scopes":"read"}"#, &["/scopes"]),
            (r#"{"name":"a","scopes":["read"],"x":1}"#, &["/x"]),
            (r#"{"name":"a","scopes":["read","admin"],"owner":"b"}"#, &["/owner"]),
            (r#"{"name":"a","scopes":["read"],"owner":5}"#, &["/owner"]),
        ] {
            assert_eq!(read(body), Err(pointers.iter().map(|p| (*p).to_owned()).collect()), "{body}");
        }
    }
}
