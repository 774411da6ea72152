// Package s3test runs a real S3 server for tests: versitygw, which scripts/versitygw.sh installs.
package s3test
