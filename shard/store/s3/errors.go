package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"actfleet/shard/store"
)

// advice says what to do about an answer of the server that will not pass by itself.
var advice = map[string]string{
	"InvalidAccessKeyId":           "the server does not know this access key: check AWS_ACCESS_KEY_ID or the credentials file",
	"SignatureDoesNotMatch":        "the secret key is wrong: check AWS_SECRET_ACCESS_KEY or the credentials file",
	"AccessDenied":                 "these credentials may not do this: listing, reading and writing below the prefix must be allowed",
	"ExpiredToken":                 "the credentials have expired: renew them",
	"NoSuchBucket":                 "the bucket does not exist there: make it, or check the name and ACTFLEET_S3_ENDPOINT",
	"RequestTimeTooSkewed":         "this machine's clock and the server's differ too much: set the clock (NTP)",
	"AuthorizationHeaderMalformed": "the bucket lies in another region: set AWS_REGION",
	"PermanentRedirect":            "the bucket lies in another region: set AWS_REGION",
	"InvalidRegion":                "the bucket lies in another region: set AWS_REGION",
}

// code is the HTTP status of an answer that was an error, 0 for other errors.
func code(err error) int {
	var r minio.ErrorResponse
	errors.As(err, &r)
	return r.StatusCode
}

// reason is S3's word for an answer that was an error.
func reason(err error) string {
	var r minio.ErrorResponse
	errors.As(err, &r)
	return r.Code
}

// explain makes one clear line of an error: what, where, and what to do. Errors that may pass wrap
// store.ErrUnavailable.
func (s *Store) explain(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	what := strings.TrimSpace(op + " " + key)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errTimeOut) {
		return fmt.Errorf("%s in %s: %w", what, s, cause)
	}
	where := fmt.Sprintf("%s in %s (%s)", what, s, s.client.EndpointURL().Host)
	if todo, known := advice[reason(err)]; known {
		return fmt.Errorf("%s: %s: %s", where, reason(err), todo)
	}
	switch {
	case errors.Is(context.Cause(ctx), errTimeOut):
		return fmt.Errorf("%s: %w: %w after %s", where, store.ErrUnavailable, errTimeOut, s.cfg.Patience)
	case passing(err):
		return fmt.Errorf("%s: %w: %w", where, store.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// passing says whether the same request may succeed later.
func passing(err error) bool {
	switch c := code(err); {
	case c == http.StatusNotImplemented:
		return false
	case c >= 500, c == http.StatusTooManyRequests, c == http.StatusRequestTimeout, c == http.StatusConflict:
		return true
	case c != 0:
		return false
	}
	// No answer. A certificate does not become better, nor does HTTP become TLS.
	var (
		unknown x509.UnknownAuthorityError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	return !errors.As(err, &unknown) && !errors.As(err, &cert) && !errors.As(err, &record) &&
		!strings.Contains(err.Error(), "HTTP response to HTTPS client")
}
