// Package s3test runs a real S3 server for tests, versitygw, which scripts/versitygw.sh installs, and a proxy that
// injects faults into requests.
package s3test
