//! Rules: what Portent itself alerts on, as Prometheus tells of its rules.
//!
//! `/api/v1/rules` answers with one group, `portent` in the file `portent`, as the rules are in no file of
//! their own; without rules there is no group. Parameters are those of Prometheus 3.5: `type`, `rule_name[]`,
//! `rule_group[]`, `file[]`, `match[]` (about the rule's own labels), `exclude_alerts`, `group_limit` and
//! `group_next_token`; others are looked past. There is never a next page.
//!
//! In: a snapshot and the parameters. Out, of each rule, what is not evident from its configuration:
//!
//! | field | what it is |
//! |---|---|
//! | `query` | what makes an alert begin, for a Prometheus that scrapes Portent; it is not what is run. `resolve_below`, fleets and hosts without a score are not in it |
//! | `annotations` | the templates in force, `summary` and `description` included where the rule has none |
//! | `state` | `firing`, `pending` or `inactive`: of its alerts the one that is furthest |
//! | `alerts` | as in `/api/v1/alerts`; those of a model that has not been evaluated recently are left out |
//! | `health` | `unknown` before the first evaluation of a model that it looks at; `err`, with `lastError`, while that of one fails or is overdue; else `ok` |
//! | `evaluationTime`, `lastEvaluation` | of the models that it looks at: all of their features and scores, and the newest of their ticks |
//!
//! Of the group, `interval` is that of the model that is evaluated most often.
//!
//! Source: Prometheus documentation "HTTP API", "Rules"; `rules`, `parseListRulesPaginationRequest` in its
//! `web/api/v1/api.go`.

use super::alerts::{Report, Stop};
use super::catalogue::selector;
use super::error::ApiError;
use super::form::Form;
use super::json::{Json, quoted};
use crate::detect::ModelSnapshot;
use crate::detect::alert::{AlertRule, AlertState};
use crate::matcher::Selector;
use crate::timestamp;

/// The group of all rules, and its file.
const GROUP: &str = "portent";

/// When a rule was evaluated that was not: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Which rules are wanted, and what of them.
#[derive(Debug)]
pub(super) struct RuleQuery {
    /// Of each of these lists, one has to be the rule's; an empty one asks for nothing.
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Selector>,
    has_alerting_rules: bool,
    has_alerts: bool,
}

impl RuleQuery {
    /// Reads the parameters, in Prometheus's order.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn parse(form: &Form) -> Result<Self, ApiError> {
        let all = |name| form.all(name).map(str::to_owned).collect();
        let selectors = form.all("match[]").map(selector).collect::<Result<_, _>>();
        let selectors = selectors.map_err(ApiError::BadData)?;
        let has_alerting_rules = match form.get("type").to_lowercase().as_str() {
            "" | "alert" => true,
            "record" => false,
            other => {
                let reason = format!("not supported value {other:?}");
                return Err(ApiError::parameter("type")(reason));
            }
        };
        let exclude_alerts = match form.get("exclude_alerts") {
            "" => false,
            text => boolean(text).ok_or_else(|| {
                let reason = format!(
                    "error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid syntax"
                );
                ApiError::parameter("exclude_alerts")(reason)
            })?,
        };
        check_page(form)?;
        Ok(Self {
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            selectors,
            has_alerting_rules,
            has_alerts: !exclude_alerts,
        })
    }

    /// The answer.
    ///
    /// # Errors
    /// When it takes too long or becomes too long.
    pub(super) fn answer(&self, of: &Report<'_>) -> Result<String, ApiError> {
        let rules: Vec<&AlertRule> = of.rules.iter().filter(|rule| self.wants(rule)).collect();
        of.answer(|json| {
            json.raw(r#"{"groups":["#);
            if !rules.is_empty() {
                self.group(json, of, &rules)?;
            }
            json.raw("]}");
            Ok(())
        })
    }

    fn wants(&self, rule: &AlertRule) -> bool {
        let is_in =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|it| it == name);
        let label = |name: &str| rule.labels.get(name).map_or("", String::as_str);
        let satisfies = |it: &Selector| {
            it.matchers().iter().all(|matcher| matcher.matches(label(matcher.name())))
        };
        self.has_alerting_rules
            && is_in(&self.names, &rule.alert)
            && is_in(&self.groups, GROUP)
            && is_in(&self.files, GROUP)
            && (self.selectors.is_empty() || self.selectors.iter().any(satisfies))
    }

    fn group(&self, json: &mut Json, of: &Report<'_>, rules: &[&AlertRule]) -> Result<(), Stop> {
        json.raw(&format!(r#"{{"name":"{GROUP}","file":"{GROUP}","rules":"#));
        json.try_list(rules, |json, rule| self.rule(json, of, rule))?;
        // Of the group as a whole, whatever is wanted of it.
        let mut models: Vec<&ModelSnapshot> = Vec::new();
        for (model, _) in of.rules.iter().flat_map(|rule| of.models(rule)) {
            if !models.iter().any(|it| it.model == model.model) {
                models.push(model);
            }
        }
        json.raw(r#","interval":"#);
        let interval_ms = models.iter().map(|model| model.interval_ms).min().unwrap_or(0);
        json.number(interval_ms as f64 / 1_000.0);
        json.raw(r#","limit":0"#);
        evaluation(json, &models);
        json.raw("}");
        Ok(())
    }

    fn rule(&self, json: &mut Json, of: &Report<'_>, rule: &AlertRule) -> Result<(), Stop> {
        let state = of.state(rule).map_or("inactive", AlertState::name);
        json.raw(&format!(r#"{{"state":"{state}","name":"#));
        json.string(&rule.alert);
        json.raw(r#","query":"#);
        json.string(&query(&rule.models));
        json.raw(r#","duration":"#);
        json.number(rule.r#for.as_seconds());
        json.raw(r#","keepFiringFor":"#);
        json.number(rule.keep_firing_for.as_seconds());
        json.raw(r#","labels":"#);
        json.texts(rule.labels.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        json.raw(r#","annotations":"#);
        json.texts(rule.annotation_texts());
        json.raw(r#","alerts":"#);
        match self.has_alerts {
            true => of.write(json, of.alerts(rule))?,
            false => json.raw("null"),
        }
        let models = of.models(rule);
        health(json, &models);
        evaluation(json, &models.iter().map(|(model, _)| *model).collect::<Vec<_>>());
        json.raw(r#","type":"alerting"}"#);
        Ok(())
    }
}

/// What makes an alert of the rule begin, for a Prometheus that scrapes Portent.
fn query(models: &[String]) -> String {
    let of_models = match models {
        [] => String::new(),
        [one] => format!("{{model={}}}", quoted(one)),
        many => {
            let any: Vec<String> = many.iter().map(|it| regex::escape(it)).collect();
            format!("{{model=~{}}}", quoted(&any.join("|")))
        }
    };
    format!(
        r#"anomaly_score{of_models} > anomaly_score_threshold unless ignoring (state) anomaly_state{{state="lasting"}}"#
    )
}

/// How the last evaluations of these models went, each with whether it was recently.
fn health(json: &mut Json, models: &[(&ModelSnapshot, bool)]) {
    let error = models.iter().find_map(|(model, is_current)| match (model.failure(), is_current) {
        (Some(reason), _) => Some(format!("model {:?}: {reason}", model.model)),
        (None, true) => None,
        (None, false) => {
            let last = timestamp::format_ms(model.time_ms);
            Some(format!("model {:?} has not been evaluated since {last}", model.model))
        }
    });
    let health = match (models, &error) {
        ([], _) => "unknown",
        (_, Some(_)) => "err",
        (_, None) => "ok",
    };
    json.raw(&format!(r#","health":"{health}""#));
    if let Some(error) = error {
        json.raw(r#","lastError":"#);
        json.string(&error);
    }
}

/// How long the last evaluations of these models took together, and the newest of their ticks.
fn evaluation(json: &mut Json, models: &[&ModelSnapshot]) {
    let seconds = |model: &&ModelSnapshot| {
        let evaluation = &model.evaluation;
        (evaluation.features_duration + evaluation.inference_duration).as_secs_f64()
    };
    json.raw(r#","evaluationTime":"#);
    // From 0, as a sum of nothing is -0.
    json.number(models.iter().map(seconds).fold(0.0, |sum, it| sum + it));
    json.raw(r#","lastEvaluation":"#);
    match models.iter().map(|model| model.time_ms).max() {
        Some(time_ms) => json.moment(time_ms),
        None => json.string(NEVER),
    }
}

/// Checks what is about pages: there is one group, so that no page has a next one.
fn check_page(form: &Form) -> Result<(), ApiError> {
    let limit = match form.get("group_limit") {
        "" => None,
        text => Some(text.parse::<i64>().map_err(|error| {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let reason = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            ApiError::parameter("group_limit")(format!(
                "group_limit needs to be a valid number: strconv.ParseInt: parsing {text:?}: {reason}"
            ))
        })?),
    };
    if limit.is_some_and(|limit| limit <= 0) {
        let reason = "group_limit needs to be greater than 0".to_owned();
        return Err(ApiError::parameter("group_limit")(reason));
    }
    let reason = match (form.get("group_next_token"), limit) {
        ("", _) => return Ok(()),
        (_, None) => {
            "group_limit needs to be present in order to paginate over the groups".to_owned()
        }
        (token, _) => format!("invalid group_next_token '{token}'. were rule groups changed?"),
    };
    Err(ApiError::parameter("group_next_token")(reason))
}

/// A truth value as Go's `strconv.ParseBool` takes it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
