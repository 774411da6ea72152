// Package rankstest gives tests several ranks in one process: the slow, readable reference of ranks.Ranks.
package rankstest
