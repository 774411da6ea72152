// Package s3test runs a real S3 server for tests, versitygw, which scripts/versitygw.sh installs, and a proxy that harms
// requests on their way.
package s3test
