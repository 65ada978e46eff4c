//! What a selector asks for, as conditions.

use serde_json::Value as Json;

use super::condition::{any, begins, ends, equal, none};
use super::hook::{Meaning, Means};
use super::policy::{items, text};

/// Inode numbers of the namespaces that the kernel itself makes, where they are the same everywhere
/// (include/linux/proc_ns.h).
const FIRST_NAMESPACES: &[(&str, &str, &str)] =
    &[("Pid", "process.namespace.pid", "4026531836"), ("User", "process.namespace.user", "4026531837")];
const NAMESPACES: &[(&str, &str)] = &[
    ("Pid", "process.namespace.pid"),
    ("User", "process.namespace.user"),
    ("Mnt", "process.namespace.mnt"),
    ("Net", "process.namespace.net"),
];

type Told = Result<Vec<String>, String>;

/// What a selector asks for, and what is different about it; or what cannot be asked for.
pub(super) fn conditions(
    means: &Means,
    item: &Json,
    selector: &Json,
) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut conditions, mut notes) = (Vec::new(), Vec::new());
    for (key, value) in selector.as_object().into_iter().flatten() {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let told: Told = match key.as_str() {
            "matchActions" => Ok(Vec::new()),
            "matchBinaries" => {
                if means.is_exec {
                    notes.push("The image before the exec is that of the process that forked, process.parent.executable".to_owned());
                }
                each(all, |item| binaries(item, means.is_exec))
            }
            "matchArgs" => each(all, |argument| of_argument(means, item, argument)),
            "matchNamespaces" => each(all, namespaces),
            "matchCapabilities" => each(all, capabilities),
            "matchPIDs" => each(all, pids),
            other => Err(format!("{other} cannot be asked for")),
        };
        conditions.extend(told?);
    }
    for key in item.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
        let is_known = matches!(
            key,
            "call"
                | "hook"
                | "subsystem"
                | "event"
                | "syscall"
                | "return"
                | "args"
                | "returnArg"
                | "selectors"
                | "message"
                | "tags"
                | "raw"
        );
        if !is_known {
            return Err(format!("{key} of a hook cannot be asked for"));
        }
    }
    Ok((conditions, notes))
}

fn each(items: &[Json], told: impl Fn(&Json) -> Told) -> Told {
    let all: Result<Vec<Vec<String>>, String> = items.iter().map(told).collect();
    Ok(all?.concat())
}

fn values(item: &Json) -> Vec<String> {
    items(item, "values")
        .iter()
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect()
}

fn binaries(item: &Json, is_exec: bool) -> Told {
    let mut fields = vec![if is_exec { "process.parent.executable" } else { "process.executable" }];
    if item.get("followChildren").and_then(Json::as_bool) == Some(true) {
        fields.push("process.ancestor.executable");
    }
    let of = |how: fn(&str, &str) -> String| -> Vec<String> {
        let values = values(item);
        fields
            .iter()
            .flat_map(|field| values.iter().map(|value| how(field, value)).collect::<Vec<_>>())
            .collect()
    };
    texts(text(item, "operator"), of)
}

/// What an operator on texts asks for.
fn texts(operator: &str, of: impl Fn(fn(&str, &str) -> String) -> Vec<String>) -> Told {
    let condition = match operator {
        "In" | "Equal" => any(&of(equal)),
        "NotIn" | "NotEqual" => none(&of(equal)),
        "Prefix" => any(&of(begins)),
        "NotPrefix" => none(&of(begins)),
        "Postfix" => any(&of(ends)),
        "NotPostfix" => none(&of(ends)),
        other => return Err(format!("the operator {other} on a text")),
    };
    Ok(vec![condition])
}

fn of_argument(means: &Means, item: &Json, argument: &Json) -> Told {
    let n = argument.get("index").and_then(Json::as_u64).unwrap_or(0);
    let operator = text(argument, "operator");
    if operator == "InMap" {
        // It names the calls.
        return Ok(Vec::new());
    }
    let kind = of_kind(item, n);
    let Some((_, meaning)) = means.arguments.iter().find(|(at, _)| *at == n) else {
        return Err(format!("argument {n} ({kind}): no field tells of it"));
    };
    match meaning {
        Meaning::Text(field) => {
            texts(operator, |how| values(argument).iter().map(|value| how(field, value)).collect())
        }
        Meaning::Always(value) if operator == "Equal" && values(argument) == [*value] => Ok(Vec::new()),
        Meaning::Always(value) => Err(format!("argument {n} other than {value}")),
        Meaning::Access => access(operator, &values(argument)),
        Meaning::Ends => ends_of(operator, &values(argument), ["source", "destination"]),
        Meaning::Own => ends_of(operator, &values(argument), ["destination", "source"]),
    }
}

fn of_kind(item: &Json, n: u64) -> String {
    let argument =
        items(item, "args").iter().find(|argument| argument.get("index").and_then(Json::as_u64) == Some(n));
    argument.map_or("of no type", |argument| text(argument, "type")).to_owned()
}

fn access(operator: &str, values: &[String]) -> Told {
    let of = |value: &String| match value.as_str() {
        "2" => Ok("file.access:write".to_owned()),
        "4" => Ok("file.access:read".to_owned()),
        other => Err(format!("an access of {other}; 2 (write) and 4 (read) are told")),
    };
    let told: Result<Vec<String>, String> = values.iter().map(of).collect();
    match operator {
        "Equal" | "Mask" => Ok(vec![any(&told?)]),
        "NotEqual" => Ok(vec![none(&told?)]),
        other => Err(format!("the operator {other} on an access")),
    }
}

/// What is asked of the ends of a connection; `source` and `destination` are called what they are in the event.
fn ends_of(operator: &str, values: &[String], [source, destination]: [&str; 2]) -> Told {
    let (plain, is_not) = match operator.strip_prefix("Not") {
        Some(plain) => (plain, true),
        None => (operator, false),
    };
    let of = |value: &String| -> Result<String, String> {
        match plain {
            "SAddr" => Ok(format!("{source}.ip:{}", address(value)?)),
            "DAddr" => Ok(format!("{destination}.ip:{}", address(value)?)),
            "SPort" => port(source, value),
            "DPort" => port(destination, value),
            "Protocol" => match value.trim_start_matches("IPPROTO_").to_ascii_lowercase().as_str() {
                "tcp" | "6" => Ok("network.transport:tcp".to_owned()),
                "udp" | "17" => Ok("network.transport:udp".to_owned()),
                other => Err(format!("the protocol {other}")),
            },
            "Family" => match value.as_str() {
                "2" | "AF_INET" => Ok("network.type:ipv4".to_owned()),
                "10" | "AF_INET6" => Ok("network.type:ipv6".to_owned()),
                other => Err(format!("the family {other}")),
            },
            other => Err(format!("the operator {other} on a socket or packet")),
        }
    };
    if matches!(plain, "SPortPriv" | "DPortPriv") {
        let end = if plain == "SPortPriv" { source } else { destination };
        let condition = format!("{end}.port < 1024");
        return Ok(vec![if is_not { format!("not {condition}") } else { condition }]);
    }
    let told: Result<Vec<String>, String> = values.iter().map(of).collect();
    Ok(vec![if is_not { none(&told?) } else { any(&told?) }])
}

/// An address or a network; what stands behind the network's own bits does not count.
fn address(value: &str) -> Result<String, String> {
    let bare = value.split('/').next().unwrap_or_default();
    match bare.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(if value.contains(':') { format!("\"{value}\"") } else { value.to_owned() }),
        Err(_) => Err(format!("the address {value}")),
    }
}

fn port(end: &str, value: &str) -> Result<String, String> {
    match value.split_once([':', '-']) {
        None => match value.parse::<u16>() {
            Ok(port) => Ok(format!("{end}.port:{port}")),
            Err(_) => Err(format!("the port {value}")),
        },
        Some((from, to)) => match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) => Ok(format!("({end}.port >= {from} and {end}.port <= {to})")),
            _ => Err(format!("the ports {value}")),
        },
    }
}

fn namespaces(item: &Json) -> Told {
    let kind = text(item, "namespace");
    let field = NAMESPACES.iter().find(|(name, _)| *name == kind).map(|(_, field)| *field);
    let field = field.ok_or_else(|| format!("namespaces of kind {kind}"))?;
    let of = |value: String| match value.as_str() {
        "host_ns" => {
            let first = FIRST_NAMESPACES.iter().find(|(name, _, _)| *name == kind);
            first.map(|(_, field, number)| format!("{field}:{number}")).ok_or_else(|| {
                format!("the host's own {kind} namespace, whose number differs from host to host")
            })
        }
        number => Ok(format!("{field}:{number}")),
    };
    let told: Result<Vec<String>, String> = values(item).into_iter().map(of).collect();
    of_operator(text(item, "operator"), &told?)
}

fn capabilities(item: &Json) -> Told {
    if text(item, "type") != "Effective" {
        return Err(format!("capabilities that are {}", text(item, "type")));
    }
    if item.get("isNamespaceCapability").and_then(Json::as_bool) == Some(true) {
        return Err("capabilities in another user namespace".to_owned());
    }
    let told: Vec<String> = values(item).iter().map(|name| format!("process.capabilities:{name}")).collect();
    of_operator(text(item, "operator"), &told)
}

fn pids(item: &Json) -> Told {
    let is = |key: &str| item.get(key).and_then(Json::as_bool) == Some(true);
    if is("isNamespacePID") {
        return Err("pids as a namespace numbers them".to_owned());
    }
    if is("followForks") {
        return Err("a pid with all that it forked".to_owned());
    }
    let told: Vec<String> = values(item).iter().map(|pid| format!("process.pid:{pid}")).collect();
    of_operator(text(item, "operator"), &told)
}

fn of_operator(operator: &str, told: &[String]) -> Told {
    match operator {
        "In" => Ok(vec![any(told)]),
        "NotIn" => Ok(vec![none(told)]),
        other => Err(format!("the operator {other}")),
    }
}
