package s3test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"

	"actfleet/internal/testnet"
)

// Binary is the environment variable with the path of versitygw; tests are skipped when it is not set.
const Binary = "ACTFLEET_VERSITYGW"

// Credentials of the server.
const (
	AccessKey = "test"
	SecretKey = "testtest"
)

// Server is a running versitygw. Its buckets are directories.
type Server struct {
	Addr string // HOST:PORT
	root string // the buckets' parent
	side string // where metadata lie; "" is in extended attributes
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// Start runs a server with the buckets and puts its address and credentials into the environment. It ends with
// the test.
func Start(t *testing.T, buckets ...string) *Server {
	t.Helper()
	if os.Getenv(Binary) == "" {
		t.Skip(Binary + " is not set; make test-s3 sets it")
	}
	dir := t.TempDir()
	s := &Server{Addr: testnet.FreeAddr(t), root: filepath.Join(dir, "buckets")}
	for _, path := range append([]string{"."}, buckets...) {
		if err := os.MkdirAll(filepath.Join(s.root, path), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if unix.Setxattr(s.root, "user.actfleet", nil, 0) != nil {
		s.side = t.TempDir()
	}
	t.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", SecretKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("ACTFLEET_S3_ENDPOINT", s.URL())
	s.Launch(t)
	t.Cleanup(func() { s.Kill() })
	return s
}

// URL is the server's endpoint.
func (s *Server) URL() string { return "http://" + s.Addr }

// Launch starts the server, again after Kill, and waits until it listens.
func (s *Server) Launch(t *testing.T) {
	t.Helper()
	args := []string{"--port", s.Addr, "--quiet", "posix", s.root}
	if s.side != "" {
		args = slices.Insert(args, 4, "--sidecar", s.side)
	}
	s.cmd = exec.Command(os.Getenv(Binary), args...)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+SecretKey)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.Kill()
	t.Fatalf("%s does not listen: %s", os.Getenv(Binary), s.log.String())
}

// Kill ends the server as a crash does.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Atomic says whether a crash leaves every object whole or absent. With a sidecar versitygw writes an object's metadata
// before the object: killed between the two it answers 412 to a put of what it does not show.
func (s *Server) Atomic() bool { return s.side == "" }

// Dir is the directory of the server's that holds a prefix of a bucket: its files are objects.
func (s *Server) Dir(bucket, prefix string) string { return filepath.Join(s.root, bucket, prefix) }

// Count lists what is below a prefix of a bucket, with the client library and nothing of ours.
func (s *Server) Count(t *testing.T, bucket, prefix string) (n int) {
	t.Helper()
	c, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n++
	}
	return n
}

// DropBucket removes a bucket with all that is in it.
func (s *Server) DropBucket(bucket string) error {
	return os.RemoveAll(filepath.Join(s.root, bucket))
}
