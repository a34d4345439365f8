package daemon

// reasonTexts say why a packet meets its fate, for people.
var reasonTexts = map[string]string{
	"not_ip":             "it is neither IPv4 nor IPv6",
	"vlan":               "it has more than two VLAN tags, and such frames are the kernel's",
	"truncated":          "one of its headers is cut short or contradicts itself",
	"not_ours":           "its destination is neither a VIP nor an address that NAT sends from",
	"not_tcp_udp":        "it is neither TCP nor UDP, nor anything else that is balanced",
	"fragment":           "it is a later fragment of what the kernel has got, or may be the host's own",
	"no_config":          "it belongs to no flow, and no config serves its destination",
	"ttl_expired":        "its TTL ends here: the kernel answers that it does",
	"icmp_unknown":       "it is an ICMP message about no flow of ours",
	"tags_full":          "its VLAN tags are new, and there is no room for more of them",
	"hop_unresolved":     "the way to its next hop is not known: the kernel may forward it, and looks for the way",
	"left_to_fragment":   "it is larger than the MTU of its way out: the kernel may send it in fragments",
	"new_flow":           "it is the first packet of a flow",
	"forwarded":          "it belongs to a flow",
	"replied":            "it is a node's answer in a flow",
	"reset_client":       "its flow is over, and only the node still speaks: the client gets an RST",
	"fragment_followed":  "it is a later fragment, and goes the way of the first",
	"icmp_translated":    "it is an ICMP error about a flow, and goes to whom it concerns",
	"echo_answered":      "it is a ping to a VIP",
	"neighbour_answered": "it asks for the MAC of a VIP that is announced here",
	"no_backend":         "no node takes new flows",
	"nodes_full":         "every node that takes new flows has max_conns of them",
	"flow_unknown":       "it is a TCP segment without SYN, and belongs to no flow",
	"node_down":          "its node is DOWN, and on_down is reset",
	"table_full":         "the flow table has no room where the flow belongs, and nothing there may leave",
	"no_port":            "no source port towards the node is free",
	"deadline":           "its flow is over: the deadline of drain, reject or removal has passed",
	"too_big":            "it is larger than the MTU of its way out, and must not be fragmented",
	"no_backend_dropped": "no node takes new flows, and on_no_backend is drop",
	"refuse_limited":     "it was to be refused, but too many refusals go out already",
	"refuse_silent":      "it was to be refused, but must not be answered: it is an RST, or went to many",
	"table_busy":         "a part of the flow table stayed locked: the sender will repeat it",
	"bad_service":        "the tables contradict each other: see the warnings of status, and the log",
	"throttled":          "its client opens flows faster than its balancer allows",
	"fragment_early":     "it is a fragment, and the first of its datagram has not come, or long ago",
	"fragment_lost":      "it is a fragment, and the first of its datagram was not sent on, or its flow has ended",
	"fragment_overlap":   "it is a fragment of what has passed already",
}

// closingTexts say what closes a TCP flow, for people.
var closingTexts = map[string]string{
	"fin":          "both sides have said that they are done",
	"client_reset": "its client has reset it",
	"node_reset":   "its node has reset it",
	"node_down":    "its node is DOWN, and on_down is reset",
	"deadline":     "the deadline of drain, reject or removal has passed",
}

// removalTexts say why a flow leaves the table.
var removalTexts = map[string]string{
	"swept":      "it was idle for too long",
	"expired":    "it was idle for too long, and a new flow needed its room or its source port",
	"room":       "a new flow needed its room in the flow table",
	"port":       "a new flow needed its source port towards the node",
	"superseded": "its client began anew with the same ports",
}

// why says it of any reason: one that is not known here goes by its name.
func why(reason string) string {
	if text, known := reasonTexts[reason]; known {
		return text
	}
	return reason
}
