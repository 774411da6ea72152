// Package hub finds checkpoints by the names they have on Hugging Face's hub: in its cache on this machine, or over
// HTTP into that cache.
//
// Vocabulary: an ID is ORG/NAME (or NAME alone, of the oldest models) with a revision, main where none is given; the
// cache is a directory with one folder models--ORG--NAME for each model: refs/ (a file for each branch or tag, with a
// commit), snapshots/<commit>/ (links with the files' names) and blobs/ (the files under their hashes).
//
// Guaranteed: nothing is sent unless Fetch is called; what Fetch brings is checked against the size and the hash that the
// hub announced, appears under its name complete or not at all, and goes on where an interrupted Fetch stopped; a
// snapshot has all its files from the beginning; only files that are read here are fetched, under names known before.
// Not guaranteed: that two processes that fetch the same model at a time do not fetch a file twice.
//
// Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
package hub
