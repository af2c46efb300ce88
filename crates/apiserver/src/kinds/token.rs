//! `POST …/serviceaccounts/<name>/token`.

use serde_json::Value;

use crate::identity::review;
use crate::model::status::ApiStatus;
use crate::registry::{Call, Outcome};

/// Issues a bound token (I2).
pub async fn create(call: &Call<'_>, body: Value) -> Result<Outcome, ApiStatus> {
    let tenant = call.tenant;
    let place = (call.target.namespace.as_str(), call.target.name.as_str());
    let max = tenant.limits().token_ttl;
    let issued = review::token_request(tenant.issuer(), &tenant.objects(), place, body, max)?;
    issued.warnings.into_iter().for_each(|text| call.warnings.add(text));
    Ok(Outcome::created(issued.object))
}
