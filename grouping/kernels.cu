// Grouping's work on whole maps: average, candidates, missing keypoints. Compiled at run time by `peaks_cuda`.
//
// Letters: F passes (1, or 2: the image and its mirror image), K keypoints, T tags a keypoint (F of them), M candidates
// a keypoint. Sizes are in pixels of the 1/2 map (height, width) unless they say `full`. Arithmetic follows
// `interpolation`, `halves`, `peaks` and `refine` step by step; without contraction to fused multiply-adds the results
// are the same numbers.

#define TILE 32           // pixels of the full map
#define MOST_REACH 8      // of a window of non-maximum suppression
#define ROOM (TILE + 2 * MOST_REACH)
#define MOST_PEAKS 2048   // a keypoint; a power of two
#define MOST_TAGS 2
#ifndef THREADS
#define THREADS 256
#endif
#define LOWEST (-3.402823466e38f)

typedef unsigned long long Key;

struct Maps {  // [F, K, h, w], cut from one of the network's outputs, in whatever layout it lies
    const float* values;
    int pass, map, row, column;  // strides
};

// A kernel takes maps as five plain arguments and binds them into one.
#define OUTPUT(name) const float *name##_values, int name##_pass, int name##_map, int name##_row, int name##_column
#define BIND(name) Maps name = {name##_values, name##_pass, name##_map, name##_row, name##_column}

__device__ inline float at(const Maps& maps, int pass, int map, int y, int x) {
    return maps.values[(long long)pass * maps.pass + (long long)map * maps.map + y * maps.row + x * maps.column];
}

// Which two of `length` pixels the doubled map's pixel `place` lies between, and the weight of the first.
__device__ inline void between(int place, int length, int& first, int& second, float& weight) {
    first = (place - 1) >> 1;
    weight = (place & 1) ? 0.75f : 0.25f;
    second = min(first + 1, length - 1);
    if (first < 0) {
        first = 0;
        weight = 1.0f;
    }
}

__device__ inline float blend(float one, float weight, float other) {
    return weight * one + (1.0f - weight) * other;
}

// A map [height, width] doubled once, at x, y.
__device__ inline float doubled(const float* map, int height, int width, int x, int y) {
    int left, right, top, bottom;
    float across, down;
    between(x, width, left, right, across);
    between(y, height, top, bottom, down);
    float before = blend(map[top * width + left], down, map[bottom * width + left]);
    float behind = blend(map[top * width + right], down, map[bottom * width + right]);
    return blend(before, across, behind);
}

__device__ inline float doubled_output(const Maps& maps, int pass, int map, int height, int width, int x, int y) {
    int left, right, top, bottom;
    float across, down;
    between(x, width, left, right, across);
    between(y, height, top, bottom, down);
    float before = blend(at(maps, pass, map, top, left), down, at(maps, pass, map, bottom, left));
    float behind = blend(at(maps, pass, map, top, right), down, at(maps, pass, map, bottom, right));
    return blend(before, across, behind);
}

// A tag of the 1/4 map [quarter_height, quarter_width], doubled twice, at x, y of the full map.
__device__ inline float full_tag(
    const Maps& tags, int pass, int map, int quarter_height, int quarter_width, int x, int y
) {
    int height = 2 * quarter_height, width = 2 * quarter_width, left, right, top, bottom;
    float across, down;
    between(x, width, left, right, across);
    between(y, height, top, bottom, down);
    float a = doubled_output(tags, pass, map, quarter_height, quarter_width, left, top);
    float b = doubled_output(tags, pass, map, quarter_height, quarter_width, right, top);
    float c = doubled_output(tags, pass, map, quarter_height, quarter_width, left, bottom);
    float d = doubled_output(tags, pass, map, quarter_height, quarter_width, right, bottom);
    return blend(blend(a, down, c), across, blend(b, down, d));
}

// Floats as whole numbers of the same order, so that value and place compare as one key: higher value first, then the
// earlier pixel in reading order.
__device__ inline Key key_of(float value, unsigned int pixel) {
    unsigned int bits = __float_as_uint(value);
    bits = (bits & 0x80000000u) ? ~bits : (bits | 0x80000000u);
    return ((Key)bits << 32) | (0xffffffffu - pixel);
}

__device__ inline float value_of(Key key) {
    unsigned int bits = (unsigned int)(key >> 32);
    return __uint_as_float((bits & 0x80000000u) ? (bits ^ 0x80000000u) : ~bits);
}

__device__ inline unsigned int pixel_of(Key key) {
    return 0xffffffffu - (unsigned int)key;
}

// What is said of one pixel that was chosen: x, y, value, whether the right and the lower neighbour are the higher
// ones, alpha, and the tags.
__device__ inline void describe(
    const Maps& tags, const Maps& alphas, const int* flips, int passes, int keypoints, const float* half, int height,
    int width, int keypoint, int x, int y, float value, float* words
) {
    int last_x = 2 * width - 1, last_y = 2 * height - 1;
    words[0] = (float)x;
    words[1] = (float)y;
    words[2] = value;
    words[3] = doubled(half, height, width, min(x + 1, last_x), y) > doubled(half, height, width, max(x - 1, 0), y);
    words[4] = doubled(half, height, width, x, min(y + 1, last_y)) > doubled(half, height, width, x, max(y - 1, 0));
    float alpha = doubled_output(alphas, 0, keypoint, height, width, x, y);
    if (passes > 1) alpha += doubled_output(alphas, 1, flips[keypoint], height, width, last_x - x, y);
    words[5] = alpha / passes;
    for (int pass = 0; pass < passes; ++pass) {
        int map = pass ? flips[keypoint] : keypoint;
        words[6 + pass] = full_tag(tags, pass, map, height / 2, width / 2, pass ? last_x - x : x, y);
    }
}

extern "C" {

// half [K, height, width]: both resolutions and all passes averaged. One thread a pixel. faults becomes 1 where a value
// is not finite; so it does in tag_ranges.
__global__ void average(
    OUTPUT(coarse), OUTPUT(fine), const int* flips, int passes, int keypoints, int height, int width, float* half,
    int* faults
) {
    BIND(coarse);
    BIND(fine);
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, keypoint = blockIdx.y;
    if (pixel >= height * width) return;
    int y = pixel / width, x = pixel % width;
    float total = 0.0f;
    for (int pass = 0; pass < passes; ++pass) {
        int map = pass ? flips[keypoint] : keypoint, from = pass ? width - 1 - x : x;
        int top = max((y - 1) >> 1, 0), bottom = min(((y - 1) >> 1) + 1, height / 2 - 1);
        float down = (y & 1) ? 0.75f : 0.25f;
        int middle = from >> 1, beside = (from & 1) ? min(middle + 1, width / 2 - 1) : max(middle - 1, 0);
        float near = blend(at(coarse, pass, map, top, middle), down, at(coarse, pass, map, bottom, middle));
        float far = blend(at(coarse, pass, map, top, beside), down, at(coarse, pass, map, bottom, beside));
        total += 0.75f * near + 0.25f * far + at(fine, pass, map, y, from);
    }
    half[(long long)keypoint * height * width + pixel] = total * (0.5f / passes);
    if (!isfinite(total)) *faults = 1;
}

// The lowest and the highest tag around each tile [K, tile rows, tile columns, T]. One block a keypoint; one thread a
// tile at a time.
__global__ void tag_ranges(
    OUTPUT(tags), const int* flips, int passes, int keypoints, int height, int width, int rows, int columns,
    float* lowest, float* highest, int* faults
) {
    BIND(tags);
    int keypoint = blockIdx.x, size = TILE / 4, quarter_height = height / 2, quarter_width = width / 2;
    for (int tile = threadIdx.x; tile < rows * columns; tile += blockDim.x) {
        int top = max(tile / columns * size - 1, 0), bottom = min((tile / columns + 1) * size + 1, quarter_height);
        int left = max(tile % columns * size - 1, 0), right = min((tile % columns + 1) * size + 1, quarter_width);
        for (int pass = 0; pass < passes; ++pass) {
            int map = pass ? flips[keypoint] : keypoint;
            float low = -LOWEST, high = LOWEST;
            for (int y = top; y < bottom; ++y)
                for (int x = left; x < right; ++x) {
                    float tag = at(tags, pass, map, y, pass ? quarter_width - 1 - x : x);
                    low = fminf(low, tag);
                    high = fmaxf(high, tag);
                    if (!isfinite(tag)) *faults = 1;
                }
            long long place = ((long long)keypoint * rows * columns + tile) * passes + pass;
            lowest[place] = low;
            highest[place] = high;
        }
    }
}

// Local maxima above the threshold, in any order: counts [K] and keys [K, MOST_PEAKS]; counts may say more than there
// is room for. maxima [K, tile rows, tile columns] of the full map. One block a tile.
__global__ void find_peaks(
    const float* halves, int height, int width, int rows, int columns, float threshold, int reach, int* counts,
    Key* keys, float* maxima
) {
    __shared__ float room[ROOM * ROOM];
    __shared__ float highest[THREADS];
    int keypoint = blockIdx.z, left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    int full_height = 2 * height, full_width = 2 * width, side = TILE + 2 * reach;
    const float* half = halves + (long long)keypoint * height * width;
    float own = LOWEST;
    for (int i = threadIdx.x; i < side * side; i += THREADS) {
        int x = left - reach + i % side, y = top - reach + i / side;
        bool inside = x >= 0 && y >= 0 && x < full_width && y < full_height;
        float value = inside ? doubled(half, height, width, x, y) : LOWEST;
        room[i] = value;
        bool in_tile = x >= left && y >= top && x < left + TILE && y < top + TILE;
        if (in_tile) own = fmaxf(own, value);
    }
    highest[threadIdx.x] = own;
    __syncthreads();
    for (int step = THREADS / 2; step; step /= 2) {
        if (threadIdx.x < step) highest[threadIdx.x] = fmaxf(highest[threadIdx.x], highest[threadIdx.x + step]);
        __syncthreads();
    }
    if (threadIdx.x == 0) maxima[((long long)keypoint * rows + blockIdx.y) * columns + blockIdx.x] = highest[0];
    if (highest[0] <= threshold) return;
    for (int i = threadIdx.x; i < TILE * TILE; i += THREADS) {
        int x = i % TILE + reach, y = i / TILE + reach;
        float value = room[y * side + x];
        if (!(value > threshold)) continue;
        bool peak = true;
        for (int other_y = y - reach; other_y <= y + reach && peak; ++other_y)
            for (int other_x = x - reach; other_x <= x + reach; ++other_x)
                if (room[other_y * side + other_x] > value) peak = false;
        if (!peak) continue;
        int slot = atomicAdd(counts + keypoint, 1);
        unsigned int pixel = (top + y - reach) * full_width + left + x - reach;
        if (slot < MOST_PEAKS) keys[(long long)keypoint * MOST_PEAKS + slot] = key_of(value, pixel);
    }
}

// The `limit` highest of each keypoint's peaks, described in words [K, limit, 6 + T]. One block a keypoint.
__global__ void choose(
    OUTPUT(tags), OUTPUT(alphas), const int* flips, int passes, int keypoints, const float* halves, int height, int width,
    const int* counts, const Key* keys, int limit, float* words
) {
    BIND(tags);
    BIND(alphas);
    __shared__ Key sorted[MOST_PEAKS];
    int keypoint = blockIdx.x, count = min(counts[keypoint], MOST_PEAKS), length = 1;
    while (length < count) length *= 2;
    for (int i = threadIdx.x; i < length; i += THREADS)
        sorted[i] = i < count ? keys[(long long)keypoint * MOST_PEAKS + i] : 0;
    __syncthreads();
    for (int run = 2; run <= length; run *= 2)
        for (int step = run / 2; step; step /= 2) {
            for (int i = threadIdx.x; i < length; i += THREADS) {
                int other = i ^ step;
                bool falling = !(i & run);
                if (other > i && (falling ? sorted[i] < sorted[other] : sorted[i] > sorted[other])) {
                    Key kept = sorted[i];
                    sorted[i] = sorted[other];
                    sorted[other] = kept;
                }
            }
            __syncthreads();
        }
    for (int i = threadIdx.x; i < min(count, limit); i += THREADS) {
        unsigned int pixel = pixel_of(sorted[i]);
        describe(
            tags, alphas, flips, passes, keypoints, halves + (long long)keypoint * height * width, height, width,
            keypoint, pixel % (2 * width), pixel / (2 * width), value_of(sorted[i]),
            words + ((long long)keypoint * limit + i) * (6 + passes)
        );
    }
}

__device__ inline Key higher(Key one, Key other) {
    return one > other ? one : other;
}

// The highest key of the block's threads, in every thread.
__device__ inline Key highest_of(Key own, Key* shared) {
    __syncthreads();
    shared[threadIdx.x] = own;
    __syncthreads();
    for (int step = THREADS / 2; step; step /= 2) {
        if (threadIdx.x < step) shared[threadIdx.x] = higher(shared[threadIdx.x], shared[threadIdx.x + step]);
        __syncthreads();
    }
    return shared[0];
}

// For each keypoint that one of num_people people misses (chosen [P, K] is below 0), the pixel with the highest heatmap -
// round(distance of its tag to the person's mean tag), described in words [P, K, 6 + T]. means [P, T]. One block a
// keypoint of a person; tiles whose bound is below the best so far are passed over, the most promising one comes first.
__global__ void fill_missing(
    OUTPUT(tags), OUTPUT(alphas), const int* flips, int passes, int keypoints, const float* halves, int height, int width,
    int rows, int columns, const float* maxima, const float* lowest, const float* highest, const int* num_people,
    const int* chosen, const float* means, float* words
) {
    BIND(tags);
    BIND(alphas);
    __shared__ Key reduced[THREADS];
    __shared__ float bounds[THREADS];
    int person = blockIdx.x / keypoints, keypoint = blockIdx.x % keypoints, tiles = rows * columns;
    if (person >= *num_people || chosen[blockIdx.x] >= 0) return;
    const float* half = halves + (long long)keypoint * height * width;
    const float* mean = means + (long long)person * passes;
    int full_height = 2 * height, full_width = 2 * width, promising = -1;
    Key best = 0;
    for (int round = -1; round * THREADS < tiles; ++round) {
        // Round -1 finds the most promising tile, the others look into all that can still hold the best pixel.
        Key promise = 0;
        for (int tile = round < 0 ? threadIdx.x : round * THREADS + threadIdx.x; tile < tiles; tile += THREADS) {
            float squared = 0.0f;
            for (int pass = 0; pass < passes; ++pass) {
                long long place = ((long long)keypoint * tiles + tile) * passes + pass;
                float low = lowest[place] - 1e-6f * fabsf(lowest[place]);
                float high = highest[place] + 1e-6f * fabsf(highest[place]);
                float difference = fminf(fmaxf(mean[pass], low), high) - mean[pass];
                squared += difference * difference;
            }
            float maximum = maxima[(long long)keypoint * tiles + tile];
            float bound = maximum + 1e-6f * fabsf(maximum) - rintf(sqrtf(squared));
            promise = higher(promise, key_of(bound, tile));
            if (round >= 0) {
                bounds[threadIdx.x] = bound;
                break;
            }
        }
        if (round < 0) promising = (int)pixel_of(highest_of(promise, reduced));
        __syncthreads();
        for (int turn = 0; turn < (round < 0 ? 1 : THREADS); ++turn) {
            int tile = round < 0 ? promising : round * THREADS + turn;
            if (tile >= tiles) break;
            if (round >= 0 && (tile == promising || bounds[turn] < value_of(best))) continue;
            Key own = 0;
            for (int i = threadIdx.x; i < TILE * TILE; i += THREADS) {
                int x = tile % columns * TILE + i % TILE, y = tile / columns * TILE + i / TILE;
                if (x >= full_width || y >= full_height) continue;
                float value = doubled(half, height, width, x, y);
                if (best && value < value_of(best)) continue;
                float squared = 0.0f;
                for (int pass = 0; pass < passes; ++pass) {
                    int map = pass ? flips[keypoint] : keypoint;
                    int from = pass ? full_width - 1 - x : x;
                    float difference = full_tag(tags, pass, map, height / 2, width / 2, from, y) - mean[pass];
                    squared += difference * difference;
                }
                own = higher(own, key_of(value - rintf(sqrtf(squared)), y * full_width + x));
            }
            best = higher(best, highest_of(own, reduced));
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        int x = pixel_of(best) % full_width, y = pixel_of(best) / full_width;
        describe(
            tags, alphas, flips, passes, keypoints, half, height, width, keypoint, x, y,
            doubled(half, height, width, x, y), words + (long long)blockIdx.x * (6 + passes)
        );
    }
}

}  // extern "C"
