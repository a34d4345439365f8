package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headgate/headgate/pkg/state"
)

var (
	configTier = gauge("config_tier",
		"1 for those who take the config's new flows: primary, backup, open (nodes that are DOWN) or none.",
		"config", "tier", "vip")
	configNodes = gauge("config_nodes", "Nodes of the config that serve this VIP.", "config", "vip")
	configTakes = gauge("config_eligible_nodes", "Nodes of the config that take new flows for this VIP.", "config", "vip")

	configRefused = counter("config_refused_packets_total",
		"Packets of the config that were refused (answered with an error) or dropped, by why. No series: none was for that reason.",
		"config", "fate", "reason", "vip")
)

var declaredOfConfig = []*family{configTier, configNodes, configTakes}

// configCollector tells of every config, for each of its VIPs.
type configCollector struct{ Sources }

// Describe implements prometheus.Collector.
func (c *configCollector) Describe(to chan<- *prometheus.Desc) {
	describe(to, declaredOfConfig...)
	describe(to, configRefused)
}

// Collect implements prometheus.Collector.
func (c *configCollector) Collect(to chan<- prometheus.Metric) {
	for _, svc := range c.View().Services {
		config, vip := svc.Config.String(), svc.VIP.String()
		id := labelled(configNodes.labels, config, vip)
		to <- configNodes.at(float64(len(svc.Nodes)), id)
		to <- configTakes.at(float64(taking(svc)), id)
		to <- configTier.of(1, config, string(svc.Tier), vip)
	}
	c.refused(to)
}

// refused tells what the data path has turned away, also of configs that are gone but whose nodes have flows left.
func (c *configCollector) refused(to chan<- prometheus.Metric) {
	services, err := c.Maps.Refusals()
	if err != nil {
		fail(to, err, configRefused)
		return
	}
	for i := range services {
		s := &services[i]
		for _, r := range s.Reasons {
			to <- configRefused.of(float64(r.Packets), s.ConfigKey().String(), r.Fate, r.Name, s.VIP.Addr.String())
		}
	}
}

// taking counts the nodes that take new flows.
func taking(svc *state.Service) (n int) {
	for i := range svc.Nodes {
		if svc.Nodes[i].Takes {
			n++
		}
	}
	return n
}
