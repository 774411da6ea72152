// Package monitor serves a node's metrics, health and profiles over HTTP.
//
//   - /metrics: Prometheus text of what this node did (actfleet_node_…), what it sees of the run and the fleet
//     (actfleet_run_…, actfleet_fleet_…), of gossip (actfleet_gossip_…), and of the process (go_…, process_…).
//   - /healthz: 200 and what the node does in a word, 503 once it leaves.
//   - /debug/pprof: the profiles of net/http/pprof.
//
// Every Monitor has a registry of its own. Reading metrics affects nothing and only reads the node's own state.
package monitor
