// Package report writes one self-contained HTML page about runs, probes, coders
// and the fleet that collected them.
//
// Vocabulary. A sweep is one folder of probes (results.json); a map is the AUROC
// of one kind of probe on one split by layer and site; a strip shows the
// baselines of a split on one axis. A curve is a metric of a coder against
// tokens; a trade-off sets two metrics of all coders of one place against each other;
// a browser lists latents with the rows on which they are most active. A fleet is the nodes of a run, a lane one node, a span a node's work on
// one unit.
//
// Guarantees. The page needs no other file, no network and no script; it follows
// the reader's preference for light or dark; equal input gives equal bytes. The
// numbers of a sweep without baselines, groups or intervals are withheld with
// the reason, as are those of a probe that did not converge. Everything read
// from files is bounded in size and escaped.
//
// Not guaranteed. Logs are what the nodes wrote: clocks that disagree shift
// lanes, and a node that still runs looks like one that died. The page shows the
// numbers it is given and computes none but sums.
package report
