// Matching on the GPU, by the same steps as `matching`, so that nothing has to cross to the host in between. Stands
// behind `kernels.cu`.
//
// Letters: K keypoints, T tags a keypoint, M candidates a keypoint (at most), P people kept (at most), no fewer than M.

#define MATCHING_THREADS 32  // few: they meet after every step, and there are hardly more candidates than that
#define FARTHEST 1.7e308

struct Cost {  // compared by its first part, then by its second; see `_assign_every_row`
    double first, second;
};

__device__ inline bool less(const Cost& one, const Cost& other) {
    return one.first < other.first || (one.first == other.first && one.second < other.second);
}

// One keypoint's candidates and the people that they may be of: rows and columns, or the other way round, so that there
// are no more rows than columns.
struct Pairs {
    const double* distances;  // [candidates, people], of their tags
    const float* words;  // [candidates, words]
    int num_words, candidates, people;
    double threshold;

    __device__ bool turned() const { return candidates > people; }
    __device__ int rows() const { return min(candidates, people); }
    __device__ int columns() const { return max(candidates, people); }

    __device__ Cost cost(int row, int column) const {
        int candidate = turned() ? column : row, person = turned() ? row : column;
        double distance = distances[(long long)candidate * people + person];
        double value = rint(words[candidate * num_words + 2] * 1073741824.0) / 1073741824.0;
        double near = fmin(distance, threshold);
        return {100.0 * rint(distance) - value, near * near};
    }
};

struct Assignment {  // of rows to columns, and what finding it needs; room for P of either
    Cost *lengths, *row_potentials, *column_potentials;
    int *column_of, *row_of, *came_from, *reached;
};

// The unreached column with the shortest path, the first of equal ones: its length and number, in every thread.
__device__ inline int nearest_of(Cost own, int own_column, Cost& length) {
    __shared__ Cost lengths[MATCHING_THREADS];
    __shared__ int columns[MATCHING_THREADS];
    __syncthreads();
    lengths[threadIdx.x] = own;
    columns[threadIdx.x] = own_column;
    __syncthreads();
    for (int step = blockDim.x / 2; step; step /= 2) {
        int other = threadIdx.x + step;
        if (threadIdx.x < step && columns[other] >= 0) {
            bool equal = !less(lengths[threadIdx.x], lengths[other]) && !less(lengths[other], lengths[threadIdx.x]);
            if (columns[threadIdx.x] < 0 || less(lengths[other], lengths[threadIdx.x]) ||
                (equal && columns[other] < columns[threadIdx.x])) {
                lengths[threadIdx.x] = lengths[other];
                columns[threadIdx.x] = columns[other];
            }
        }
        __syncthreads();
    }
    length = lengths[0];
    return columns[0];
}

// Where each row has one cheapest column, and no two rows the same one, there is no cheaper assignment and none as cheap:
// whether that is so, in every thread. So it is with people who stand apart.
__device__ inline bool assign_at_once(const Pairs& pairs, const Assignment& found) {
    __shared__ bool disputed;
    if (threadIdx.x == 0) disputed = false;
    for (int column = threadIdx.x; column < pairs.columns(); column += blockDim.x) found.row_of[column] = -1;
    __syncthreads();
    for (int row = threadIdx.x; row < pairs.rows(); row += blockDim.x) {
        Cost least = pairs.cost(row, 0);
        int cheapest = 0;
        bool equal = false;
        for (int column = 1; column < pairs.columns(); ++column) {
            Cost cost = pairs.cost(row, column);
            bool better = less(cost, least);
            equal = !better && (equal || !less(least, cost));
            if (better) {
                least = cost;
                cheapest = column;
            }
        }
        found.column_of[row] = cheapest;
        if (atomicExch(found.row_of + cheapest, row) >= 0 || equal) disputed = true;
    }
    __syncthreads();
    return !disputed;
}

// The Hungarian method, as in `_assign_every_row`; the threads share the columns.
__device__ inline void assign(const Pairs& pairs, const Assignment& found) {
    if (assign_at_once(pairs, found)) return;
    int rows = pairs.rows(), columns = pairs.columns();
    __syncthreads();
    for (int column = threadIdx.x; column < columns; column += blockDim.x) {
        found.row_of[column] = -1;
        found.column_potentials[column] = {0.0, 0.0};
        if (column < rows) {
            found.column_of[column] = -1;
            found.row_potentials[column] = {0.0, 0.0};
        }
    }
    for (int entering = 0; entering < rows; ++entering) {
        for (int column = threadIdx.x; column < columns; column += blockDim.x) {
            found.lengths[column] = {FARTHEST, FARTHEST};
            found.reached[column] = 0;
        }
        Cost walked = {0.0, 0.0};
        int row = entering, nearest;
        while (true) {
            __syncthreads();
            Cost shortest = {FARTHEST, FARTHEST}, potential = found.row_potentials[row];
            int own = -1;
            for (int column = threadIdx.x; column < columns; column += blockDim.x) {
                if (found.reached[column]) continue;
                Cost cost = pairs.cost(row, column), other = found.column_potentials[column];
                cost = {
                    walked.first + cost.first - potential.first - other.first,
                    walked.second + cost.second - potential.second - other.second,
                };
                if (less(cost, found.lengths[column])) {
                    found.lengths[column] = cost;
                    found.came_from[column] = row;
                }
                if (own < 0 || less(found.lengths[column], shortest)) {
                    own = column;
                    shortest = found.lengths[column];
                }
            }
            nearest = nearest_of(shortest, own, walked);
            row = found.row_of[nearest];
            if (row < 0) break;
            if (threadIdx.x == 0) found.reached[nearest] = 1;
        }
        for (int column = threadIdx.x; column < columns; column += blockDim.x) {
            if (!found.reached[column]) continue;
            Cost length = found.lengths[column];
            Cost& of_row = found.row_potentials[found.row_of[column]];
            Cost& of_column = found.column_potentials[column];
            of_row.first += walked.first - length.first;
            of_row.second += walked.second - length.second;
            of_column.first -= walked.first - length.first;
            of_column.second -= walked.second - length.second;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            found.row_potentials[entering].first += walked.first;
            found.row_potentials[entering].second += walked.second;
            for (int column = nearest, last = -1; last != entering;) {
                last = found.came_from[column];
                found.row_of[column] = last;
                int before = found.column_of[last];
                found.column_of[last] = column;
                column = before;
            }
        }
    }
    __syncthreads();
}

// Candidates become people, as in `match_candidates`: people [K M, K] is which candidate each has or -1, sums [K M, T]
// and members [K M] are of their tags. distances: room for [M, P]. Returns how many people there are.
__device__ inline int match_all(
    const int* counts, const float* words, const int* order, int keypoints, int tags, int limit, int max_people,
    double threshold, const Assignment& found, double* distances, double* sums, int* members, int* people
) {
    __shared__ int num_people;
    int num_words = 6 + tags;
    if (threadIdx.x == 0) num_people = 0;
    for (int i = threadIdx.x; i < keypoints * limit * keypoints; i += blockDim.x) people[i] = -1;
    for (int turn = 0; turn < keypoints; ++turn) {
        __syncthreads();
        int keypoint = order[turn], count = min(counts[keypoint], limit), open = min(num_people, max_people);
        const float* own = words + (long long)keypoint * limit * num_words;
        for (int i = threadIdx.x; i < count * open; i += blockDim.x) {
            int candidate = i / open, person = i % open;
            double squared = 0.0;
            for (int index = 0; index < tags; ++index) {
                double mean = sums[person * tags + index] / members[person];
                double difference = own[candidate * num_words + 6 + index] - mean;
                squared += difference * difference;
            }
            distances[i] = sqrt(squared);
        }
        __syncthreads();
        Pairs pairs = {distances, own, num_words, count, open, threshold};
        assign(pairs, found);
        int* taken_by = found.reached;  // the person each candidate goes to
        for (int candidate = threadIdx.x; candidate < count; candidate += blockDim.x) {
            int person = pairs.turned() ? found.row_of[candidate] : found.column_of[candidate];
            bool near = person >= 0 && distances[candidate * open + person] < threshold;
            taken_by[candidate] = near ? person : -1;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (int candidate = 0; candidate < count; ++candidate) {
                if (taken_by[candidate] >= 0) continue;
                int person = taken_by[candidate] = num_people++;
                members[person] = 0;
                for (int index = 0; index < tags; ++index) sums[person * tags + index] = 0.0;
            }
        __syncthreads();
        for (int candidate = threadIdx.x; candidate < count; candidate += blockDim.x) {
            int person = taken_by[candidate];  // of one candidate each
            people[person * keypoints + keypoint] = candidate;
            ++members[person];
            for (int index = 0; index < tags; ++index)
                sums[person * tags + index] += own[candidate * num_words + 6 + index];
        }
    }
    __syncthreads();
    return num_people;
}

extern "C" {

// All candidates (counts [K], words [K, M, 6 + T]) become people, of whom the P with the best scores stay, in the order
// in which they were started, if they score person_threshold: their number, their candidates chosen [P, K], -1 for none,
// their mean tags [P, T] and the chosen candidates' words described [P, K, 6 + T]. One block. reals and numbers are
// scratch, as much of it as `scratch_for_matching` says. num_people comes as 0. Where there are faults nobody is found.
__global__ void match(
    const int* faults, const int* counts, const float* words, const int* order, int keypoints, int tags, int limit,
    int max_people, double threshold, double person_threshold, double* reals, int* numbers, int* num_people,
    int* chosen, float* means, float* described
) {
    if (*faults) return;
    int most = keypoints * limit, num_words = 6 + tags;
    Cost* costs = (Cost*)reals;
    Assignment found = {
        costs, costs + max_people, costs + 2 * max_people, numbers, numbers + max_people, numbers + 2 * max_people,
        numbers + 3 * max_people,
    };
    double *sums = reals + 6 * max_people, *scores = sums + most * tags, *distances = scores + most;
    int *members = numbers + 4 * max_people, *people = members + most;
    int started = match_all(
        counts, words, order, keypoints, tags, limit, max_people, threshold, found, distances, sums, members, people
    );
    for (int person = threadIdx.x; person < started; person += blockDim.x) {
        double score = 0.0;  // exact up to the division, as sums of single precision in double are
        for (int keypoint = 0; keypoint < keypoints; ++keypoint) {
            int candidate = people[person * keypoints + keypoint];
            if (candidate >= 0) score += words[((long long)keypoint * limit + candidate) * num_words + 2];
        }
        scores[person] = score / keypoints;
    }
    __syncthreads();
    for (int person = threadIdx.x; person < started; person += blockDim.x) {
        int better = 0;
        for (int other = 0; other < started; ++other)
            better += scores[other] > scores[person] || (scores[other] == scores[person] && other < person);
        if (better >= max_people || scores[person] < person_threshold) members[person] = -1;  // who goes
    }
    __syncthreads();
    for (int person = threadIdx.x; person < started; person += blockDim.x) {
        if (members[person] < 0) continue;
        int row = 0;
        for (int other = 0; other < person; ++other) row += members[other] >= 0;
        for (int index = 0; index < tags; ++index)
            means[row * tags + index] = (float)(sums[person * tags + index] / members[person]);
        members[person] = row;  // not below 0 either
        atomicAdd(num_people, 1);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < started * keypoints; i += blockDim.x) {
        int row = members[i / keypoints], keypoint = i % keypoints, candidate = people[i];
        if (row < 0) continue;
        int place = row * keypoints + keypoint;
        chosen[place] = candidate;
        for (int word = 0; word < num_words && candidate >= 0; ++word)
            described[place * num_words + word] = words[((long long)keypoint * limit + candidate) * num_words + word];
    }
}

}  // extern "C"
