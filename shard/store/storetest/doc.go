// Package storetest is the conformance suite of package store: every implementation and every wrapper must pass it.
package storetest
