package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"actfleet/shard/store"
	"actfleet/shard/store/retry"
)

// Scheme begins the URL of a store: s3://bucket/prefix.
const Scheme = "s3://"

// Config says where and how to reach a bucket. Credentials are no part of it: they come from AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the file AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) and
// its profile AWS_PROFILE.
type Config struct {
	Endpoint string        // URL of the server; "" is Amazon's
	Region   string        // "" is us-east-1 with an Endpoint, and asked for without
	ReadOnly bool          // nothing will be written: Open does not probe, Create refuses
	Spool    string        // directory of pending objects; "" is the system's for temporary files (TMPDIR)
	Connect  retry.Policy  // of Open
	Retry    retry.Policy  // of Commit
	Patience time.Duration // of one request that moves no data; moving data has a second per MiB more
}

// FromEnv is the configuration in ACTFLEET_S3_ENDPOINT (or AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL) and AWS_REGION (or
// AWS_DEFAULT_REGION).
func FromEnv() Config {
	return Config{
		Endpoint: firstSet("ACTFLEET_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
		Region:   firstSet("AWS_REGION", "AWS_DEFAULT_REGION"),
		Connect:  retry.Policy{First: 100 * time.Millisecond, Longest: time.Second, Most: 10 * time.Second},
		Retry:    retry.Default,
		Patience: time.Minute,
	}
}

func firstSet(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// ErrURL says that the name of a store is not s3://bucket/prefix.
var ErrURL = errors.New("invalid S3 address")

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// parse splits s3://bucket/prefix; the prefix ends in a slash, or is empty.
func parse(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, Scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.TrimRight(prefix, "/")
	switch {
	case !ok || bucket == "":
		return "", "", fmt.Errorf("%w %q: want s3://bucket/prefix", ErrURL, address)
	case !bucketName.MatchString(bucket):
		return "", "", fmt.Errorf("%w %q: a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens", ErrURL, address)
	case prefix == "":
		return bucket, "", nil
	}
	if err := store.CheckKey(prefix); err != nil {
		return "", "", fmt.Errorf("%w %q: %w", ErrURL, address, err)
	}
	return bucket, prefix + "/", nil
}

// client makes the client of cfg's endpoint.
func (cfg Config) client() (*minio.Client, *http.Transport, error) {
	host, secure, err := cfg.host()
	if err != nil {
		return nil, nil, err
	}
	creds := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	if v, err := creds.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
		return nil, nil, errors.New("no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials (AWS_PROFILE chooses)")
	}
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, nil, err
	}
	transport.ResponseHeaderTimeout = 0 // every request has its own limit
	region := cfg.Region
	if region == "" && cfg.Endpoint != "" {
		region = "us-east-1"
	}
	// One try: repetitions are ours, because only we look who won. TrailingHeaders allows a checksum in the header.
	o := minio.Options{Creds: creds, Secure: secure, Region: region, Transport: transport, MaxRetries: 1, TrailingHeaders: true}
	c, err := minio.New(host, &o)
	return c, transport, err
}

// host splits the endpoint into HOST[:PORT] and whether to use TLS.
func (cfg Config) host() (host string, secure bool, err error) {
	if cfg.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return "", false, fmt.Errorf("S3 endpoint %q: want http://HOST:PORT or https://HOST", cfg.Endpoint)
	}
	return u.Host, u.Scheme == "https", nil
}
