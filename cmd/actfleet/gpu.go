package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"actfleet/internal/torch"
	"actfleet/internal/torch/limits"
)

// nvidiaSigns are files that show an NVIDIA GPU, whatever libtorch can use: containers have the first two and not the
// last, and WSL has /dev/dxg alone.
var nvidiaSigns = []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia"}

// nvidiaSign is what shows that this machine has an NVIDIA GPU; empty where nothing does.
func nvidiaSign() string {
	for _, path := range nvidiaSigns {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if path, err := exec.LookPath("nvidia-smi"); err == nil {
		return path
	}
	return ""
}

// unusedGPU is what a user hears whose computation goes to the CPU though a GPU is there; empty where none is.
func unusedGPU(sign string, why error) string {
	if sign == "" {
		return ""
	}
	return fmt.Sprintf("computing on the CPU: there is an NVIDIA GPU (%s), but libtorch cannot use it: %v; run actfleet doctor, or say --device cpu", sign, why)
}

// gpuAdvice are what to do about a reason why libtorch has no CUDA, by what its text contains; the first that fits.
var gpuAdvice = []struct{ says, do string }{
	{"libcuda.so.1", "the driver is not visible: install NVIDIA's driver on the host and, for a container, its container toolkit (docker run --gpus all)"},
	{"libtorch_cuda.so: cannot open", "this libtorch computes on the CPU only: install a PyTorch built for CUDA (pip install torch) and run PYTHON=…/bin/python scripts/setup.sh"},
	{"cannot open shared object file", "a CUDA library that this libtorch needs is missing: install PyTorch with all that it depends on (pip install torch, not --no-deps), or put the library's folder into LD_LIBRARY_PATH"},
	{"undefined symbol", "libtorch_cuda.so is of another version than a library it loads: reinstall PyTorch into a folder of its own, and clear LD_LIBRARY_PATH"},
	{"driver version is insufficient", "the driver is too old for this libtorch's CUDA: update it, or install a PyTorch built for an older CUDA"},
	{"no CUDA-capable device", "the driver shows no device: look at nvidia-smi and at CUDA_VISIBLE_DEVICES"},
	{"shows no device", "the driver shows no device: look at nvidia-smi and at CUDA_VISIBLE_DEVICES"},
}

// adviceFor is what to do about the reason why there is no CUDA.
func adviceFor(why error) string {
	for _, a := range gpuAdvice {
		if strings.Contains(why.Error(), a.says) {
			return a.do
		}
	}
	return "look at nvidia-smi; with it in order, reinstall PyTorch and run scripts/setup.sh"
}

// gpuFound is a GPU in doctor's findings.
type gpuFound struct {
	Device          string `json:"device"`
	Name            string `json:"name"`
	Capability      string `json:"capability"`
	Multiprocessors int    `json:"multiprocessors"`
	Memory          int64  `json:"memory_bytes"`
	Free            int64  `json:"free_bytes"`
	// ToHost and ToDevice are bytes a second between it and pinned memory; 0: not measured.
	ToHost   float64 `json:"to_host_bytes_per_second"`
	ToDevice float64 `json:"to_device_bytes_per_second"`
}

func (g gpuFound) String() string {
	text := fmt.Sprintf("%s %s, capability %s, %s, %s free", g.Device, g.Name, g.Capability, bytesText(float64(g.Memory)), bytesText(float64(g.Free)))
	if g.ToHost == 0 {
		return text
	}
	return fmt.Sprintf("%s; pinned memory: %s/s to the host, %s/s to the device", text, bytesText(g.ToHost), bytesText(g.ToDevice))
}

// slowLink is the pinned bandwidth below which something is amiss: PCIe 3.0 with 16 lanes gives 12 GB/s.
const slowLink = 6e9

// linkAdvice is what to do about a slow link of a GPU; empty where it is not slow, or was not measured.
func (g gpuFound) linkAdvice() string {
	if slower := min(g.ToHost, g.ToDevice); slower == 0 || slower >= slowLink {
		return ""
	}
	return fmt.Sprintf("%s is far from the host: nvidia-smi -q says with how many PCIe lanes and of which generation it is linked; another program may be copying, "+
		"or the process runs on the other socket's cores (nvidia-smi topo -m, numactl)", g.Device)
}

// lookDevices fails where there is a GPU that cannot be used.
func lookDevices(now func() time.Time) finding {
	if torch.Load() != nil {
		return finding{What: "devices", OK: true, Found: "cpu"}
	}
	if why := torch.NoCUDA(); why != nil {
		return noGPU(nvidiaSign(), why)
	}
	runtime, driver := torch.CUDAVersions()
	f := finding{What: "devices", OK: true, Found: fmt.Sprintf("cpu, %d CUDA; libtorch has CUDA %s, the driver is for %s", torch.CUDA(), known(runtime), known(driver))}
	for i := range torch.CUDA() {
		gpu, err := torch.LookAt(torch.CUDADevice(i))
		if err != nil {
			f.OK, f.Advice = false, "leave the device out with CUDA_VISIBLE_DEVICES, or look at nvidia-smi: "+err.Error()
			continue
		}
		found := gpuFound{Device: gpu.Device.String(), Name: gpu.Name, Capability: gpu.Capability(), Multiprocessors: gpu.Multiprocessors, Memory: gpu.Memory, Free: gpu.Free}
		if found.ToHost, found.ToDevice, err = limits.Copies(gpu.Device, now); err != nil {
			f.OK, f.Advice = false, "another program may hold the GPU's memory, look at nvidia-smi: "+err.Error()
		} else if advice := found.linkAdvice(); advice != "" {
			f.Advice = advice
		}
		f.GPUs = append(f.GPUs, found)
	}
	return f
}

// noGPU is the finding where libtorch can use none; sign shows that one is there.
func noGPU(sign string, why error) finding {
	if sign == "" {
		return finding{What: "devices", OK: true, Found: fmt.Sprintf("cpu; no NVIDIA GPU seen (%v)", why)}
	}
	return finding{What: "devices", Found: fmt.Sprintf("cpu; there is an NVIDIA GPU (%s), but libtorch cannot use it: %v", sign, why), Advice: adviceFor(why)}
}

// known is a version, or that there is none.
func known(version string) string {
	if version == "" {
		return "an unknown version"
	}
	return version
}
