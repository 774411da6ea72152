package monitor

import (
	"github.com/prometheus/client_golang/prometheus"

	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
)

// Fleet is what a node sees.
type Fleet interface {
	Progress() coordinator.Progress
	// Gossip returns the counters of this node's gossip, false for a fleet of one.
	Gossip() (gossip.Stats, bool)
}

// desc describes a metric that is read when it is asked for.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	runUnits   = desc("actfleet_run_units", "Units of the run, by state: committed, claimed by a live node, or open.", "state")
	runETA     = desc("actfleet_run_eta_seconds", "Time left at the present speed; absent while no unit was measured.")
	fleetSpeed = desc("actfleet_fleet_units_per_second", "Measured speed of the live nodes that are not paused, together.")
	fleetNodes = desc("actfleet_fleet_nodes", "Nodes this one has heard of, by state.", "state")
	nodeHand   = desc("actfleet_node_units_in_hand", "Units this node works on.")
	nodePaused = desc("actfleet_node_paused", "1 while this node is paused.")
	nodeSpare  = desc("actfleet_node_spare_units_total", "Units this node started although a live node worked on them.")

	gossipDropped  = desc("actfleet_gossip_dropped_messages_total", "Messages that came faster than they could be read.")
	gossipBad      = desc("actfleet_gossip_bad_messages_total", "Messages that could not be read: damaged, of another version, or not of a fleet at all.")
	gossipRejected = desc("actfleet_gossip_rejected_messages_total", "Messages of another run.")
	gossipRefuted  = desc("actfleet_gossip_refutations_total", "How often this node heard that it is dead, and said that it is not.")
	gossipReturned = desc("actfleet_gossip_returned_members_total", "Members that came back after they had been declared dead.")
	gossipHealth   = desc("actfleet_gossip_health_score", "0 for a node that answers in time, more for a starved one.")
)

// conditions are the states a node can be shown in.
var conditions = []string{"working", "waiting", "paused", "gone", "left"}

// seen collects what the node sees, in one look.
type seen struct{ m *Monitor }

// Describe says nothing, so that the metrics may be absent while there is no fleet.
func (seen) Describe(chan<- *prometheus.Desc) {}

// Collect looks at the fleet.
func (s seen) Collect(out chan<- prometheus.Metric) {
	fleet, _ := s.m.following()
	if fleet == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	p := fleet.Progress()
	claimed := claimedUnits(p)
	gauge(runUnits, float64(p.Done), "committed")
	gauge(runUnits, float64(claimed), "claimed")
	gauge(runUnits, float64(max(0, p.Total-p.Done-claimed)), "open")
	if p.ETA >= 0 {
		gauge(runETA, p.ETA.Seconds())
	}
	gauge(fleetSpeed, p.Throughput)
	for state, n := range nodesByCondition(p) {
		gauge(fleetNodes, float64(n), state)
	}
	me := self(p)
	gauge(nodeHand, float64(len(me.Claims)))
	gauge(nodePaused, number(me.Paused))
	counter(nodeSpare, float64(me.Speculative))
	if g, ok := fleet.Gossip(); ok {
		counter(gossipDropped, float64(g.Dropped))
		counter(gossipBad, float64(g.Bad))
		counter(gossipRejected, float64(g.Rejected))
		counter(gossipRefuted, float64(g.Refuted))
		counter(gossipReturned, float64(g.Returned))
		gauge(gossipHealth, float64(g.Health))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// claimedUnits counts the units that live nodes work on.
func claimedUnits(p coordinator.Progress) int {
	units := map[int]bool{}
	for _, n := range p.Nodes {
		for _, c := range n.Claims {
			units[c.Unit] = units[c.Unit] || n.Live
		}
	}
	n := 0
	for _, live := range units {
		if live {
			n++
		}
	}
	return n
}

func nodesByCondition(p coordinator.Progress) map[string]int {
	count := map[string]int{}
	for _, c := range conditions {
		count[c] = 0
	}
	for _, n := range p.Nodes {
		count[n.Condition()]++
	}
	return count
}

// self is the node that reports.
func self(p coordinator.Progress) coordinator.NodeProgress {
	for _, n := range p.Nodes {
		if n.Self {
			return n
		}
	}
	return coordinator.NodeProgress{Live: true}
}
