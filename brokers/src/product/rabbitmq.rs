//! RabbitMQ's settings, in Erlang's own terms (the "classic" configuration file), for its MQTT plugin
//! alone: no AMQP, no management.
//!
//! A node of RabbitMQ is a node of Erlang: it has a name, registers it with a name server (`epmd`),
//! and listens for other nodes. All three are kept to 127.0.0.1 and to free ports, and the name
//! server is a child of ours: left to itself the node would start one that stays.

use super::{Order, Product, ProductError, Recipe, find, free_port, start_error};
use crate::front::names::suite_names;
use suites::broker::ClientAuth;
use suites::names::group_name;
use wire::tls::ProtocolVersion;

pub(super) fn recipe(order: &Order<'_>) -> Result<Recipe, ProductError> {
    let program = find(Product::Rabbitmq, "rabbitmq-server")?;
    let name_server = find(Product::Rabbitmq, "epmd")?;
    let port = || free_port().map_err(|source| start_error("rabbitmq-server", source));
    let (names, nodes) = (port()?, port()?);
    order.write("rabbitmq.config", &settings(order))?;
    order.write("enabled_plugins", "[rabbitmq_mqtt].\n")?;
    let distribution = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false".to_owned();
    let environment = [
        ("HOME", order.folder.to_string_lossy().into_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", names.to_string()),
        ("RABBITMQ_NODENAME", format!("rig-{}@localhost", order.port)),
        ("RABBITMQ_DIST_PORT", nodes.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", distribution),
        ("RABBITMQ_CONFIG_FILE", order.path("rabbitmq.config")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", order.path("none")),
        ("RABBITMQ_CONF_ENV_FILE", order.path("none")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", order.path("enabled_plugins")),
        ("RABBITMQ_MNESIA_BASE", order.path("mnesia")),
        ("RABBITMQ_LOG_BASE", order.path("log")),
        ("RABBITMQ_PID_FILE", order.path("pid")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        // Its script then becomes the Erlang machine in place of waiting for one, so that our
        // child is what is to be stopped.
        ("detached", "true".to_owned()),
    ];
    Ok(Recipe {
        program,
        arguments: Vec::new(),
        environment: environment.map(|(key, value)| (key, value.into())).to_vec(),
        ready: "started MQTT TLS listener",
        before: Some((
            name_server,
            ["-address", "127.0.0.1", "-port", &names.to_string()].map(Into::into).to_vec(),
        )),
    })
}

fn settings(order: &Order<'_>) -> String {
    let profile = order.profile;
    let versions = [
        (ProtocolVersion::TLS1_3, "'tlsv1.3'"),
        (ProtocolVersion::TLS1_2, "'tlsv1.2'"),
        (ProtocolVersion::TLS1_1, "'tlsv1.1'"),
        (ProtocolVersion::TLS1_0, "tlsv1"),
    ];
    let versions: Vec<_> = versions
        .into_iter()
        .filter(|(ours, _)| profile.accepts(*ours))
        .map(|(_, name)| name)
        .collect();
    let (new, old) = suite_names(&profile.cipher_suites);
    let ciphers: Vec<_> = new.iter().chain(&old).map(|name| format!("\"{name}\"")).collect();
    let groups: Vec<_> = profile.groups.iter().filter_map(|group| group_name(*group)).collect();
    let groups = groups.join(",");
    let (verify, required) = match profile.client_auth {
        ClientAuth::None => ("verify_none", false),
        ClientAuth::Wanted => ("verify_peer", false),
        ClientAuth::Required => ("verify_peer", true),
    };
    let mut tls = format!(
        "{{cacertfile,\"{}\"}},{{certfile,\"{}\"}},{{keyfile,\"{}\"}},{{versions,[{}]}},\
         {{ciphers,[{}]}},{{honor_cipher_order,{order}}},{{honor_ecc_order,{order}}},\
         {{verify,{verify}}},{{fail_if_no_peer_cert,{required}}}",
        order.path("authority.pem"),
        order.path("chain.pem"),
        order.path("key.pem"),
        versions.join(","),
        ciphers.join(","),
        order = profile.server_order,
    );
    // Erlang refuses each of the two where no version has a use for it.
    if profile.min_version <= ProtocolVersion::TLS1_2 {
        tls.push_str(&format!(",{{eccs,[{groups}]}}"));
    }
    if profile.max_version >= ProtocolVersion::TLS1_3 {
        tls.push_str(&format!(",{{supported_groups,[{groups}]}}"));
    }
    format!(
        "[{{rabbit,[{{tcp_listeners,[]}},{{ssl_listeners,[]}},{{loopback_users,[]}},\
         {{disk_free_limit,1000000}},{{ssl_options,[{tls}]}}]}},\n \
         {{rabbitmq_mqtt,[{{tcp_listeners,[]}},{{ssl_listeners,[{{\"127.0.0.1\",{}}}]}},\
         {{allow_anonymous,true}},{{default_user,<<\"guest\">>}},{{default_pass,<<\"guest\">>}}]}}].\n",
        order.port
    )
}
