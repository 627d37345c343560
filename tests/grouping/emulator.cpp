// Runs grouping's CUDA kernels on the CPU, block after block, each block's threads as threads: for tests of what they
// compute, not of how fast.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static  // there is one block at a time
#define THREADS 8

struct Index {
    unsigned int x, y, z;
};
static thread_local Index threadIdx, blockIdx;
static const Index blockDim = {THREADS, 1, 1};
static std::barrier<> meeting(THREADS);

static void __syncthreads() { meeting.arrive_and_wait(); }
static int atomicAdd(int* number, int more) { return std::atomic_ref<int>(*number).fetch_add(more); }
static int atomicExch(int* number, int other) { return std::atomic_ref<int>(*number).exchange(other); }
static unsigned int __float_as_uint(float value) {
    unsigned int bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
static float __uint_as_float(unsigned int bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
using std::isfinite;
using std::max;
using std::min;

#include KERNELS

template <auto kernel>
struct Runner;

template <class... Arguments, void (*kernel)(Arguments...)>
struct Runner<kernel> {
    static void run(int columns, int rows, int layers, Arguments... arguments) {
        std::vector<std::thread> threads;
        for (unsigned int own = 0; own < THREADS; ++own)
            threads.emplace_back([=] {
                threadIdx = {own, 0, 0};
                for (unsigned int z = 0; z < (unsigned)layers; ++z)
                    for (unsigned int y = 0; y < (unsigned)rows; ++y)
                        for (unsigned int x = 0; x < (unsigned)columns; ++x) {
                            blockIdx = {x, y, z};
                            kernel(arguments...);
                            meeting.arrive_and_wait();
                        }
            });
        for (std::thread& thread : threads) thread.join();
    }
};

#define EXPORT(kernel) void* run_##kernel = (void*)&Runner<kernel>::run
extern "C" {
EXPORT(average);
EXPORT(tag_ranges);
EXPORT(find_peaks);
EXPORT(choose);
EXPORT(match);
EXPORT(fill_missing);
}
