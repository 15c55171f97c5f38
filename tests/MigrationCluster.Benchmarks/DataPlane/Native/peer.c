// What our data plane is measured against, compiled on the spot: guest RAM over loopback connections with blocking sockets, one
// sending and one receiving thread a connection, from mapping to mapping; and the scan for zero pages.
//
// Bare: send() straight from the source's mapping, recv() straight into the destination's. Checked: our pages frame, a CRC-32C a
// page computed with the copy into a buffer, checked in a buffer on the other side and only then copied into the destination.

#include <arpa/inet.h>
#include <immintrin.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, CHUNK = PAGE * PAGES, HEADER = 32, TABLE = 4 * PAGES, MAX = 16 };

struct share { int socket; uint8_t *memory; size_t bytes; int checked, failed; };
struct peer { int count, near[MAX], far[MAX]; };

// ---- CRC-32C of one page, with a copy of it -------------------------------------------------------------------------

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        if (a & 0x80000000) product ^= b;
        b = b & 1 ? b >> 1 ^ 0x82F63B78 : b >> 1;
    }
    return product;
}

static uint32_t power_of_x(uint64_t exponent)
{
    uint32_t power = 0x40000000, result = 0x80000000;
    for (; exponent; exponent >>= 1, power = multiply(power, power))
        if (exponent & 1) result = multiply(result, power);
    return result;
}

#if defined(__VPCLMULQDQ__) && defined(__AVX512F__) && defined(__AVX512DQ__)

const char *peer_check(void) { return "VPCLMULQDQ, 512 bits"; }

static __m512i one_step, one_vector;
static __m128i lanes[3];

static __m128i narrow(uint64_t bits)
{
    return _mm_set_epi64x((uint64_t)power_of_x(bits - 32) << 1, (uint64_t)power_of_x(bits + 32) << 1);
}

static void prepare(void)
{
    one_step = _mm512_broadcast_i32x4(narrow(2048));
    one_vector = _mm512_broadcast_i32x4(narrow(512));
    for (int i = 0; i < 3; i++) lanes[i] = narrow(128 * (i + 1));
}

static inline __m512i fold(__m512i x, __m512i by, __m512i next)
{
    return _mm512_ternarylogic_epi64(
        _mm512_clmulepi64_epi128(x, by, 0x00), _mm512_clmulepi64_epi128(x, by, 0x11), next, 0x96);
}

static inline __m128i fold_lane(__m128i x, __m128i by, __m128i next)
{
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
}

static inline __attribute__((always_inline)) uint32_t crc(const uint8_t *page, uint8_t *copy)
{
    __m512i v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_loadu_si512(page + 64 * i);
        if (copy) _mm512_storeu_si512(copy + 64 * i, v[i]);
    }
    v[0] = _mm512_xor_si512(v[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(-1)));
    for (int at = 256; at < PAGE; at += 256)
        for (int i = 0; i < 4; i++) {
            __m512i next = _mm512_loadu_si512(page + at + 64 * i);
            if (copy) _mm512_storeu_si512(copy + at + 64 * i, next);
            v[i] = fold(v[i], one_step, next);
        }
    for (int i = 1; i < 4; i++) v[0] = fold(v[0], one_vector, v[i]);
    __m128i left = _mm512_extracti32x4_epi32(v[0], 3);
    left = fold_lane(_mm512_castsi512_si128(v[0]), lanes[2], left);
    left = fold_lane(_mm512_extracti32x4_epi32(v[0], 1), lanes[1], left);
    left = fold_lane(_mm512_extracti32x4_epi32(v[0], 2), lanes[0], left);
    return ~(uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, _mm_cvtsi128_si64(left)), _mm_extract_epi64(left, 1));
}

static void copy_past_the_cache(uint8_t *to, const uint8_t *from)
{
    for (int at = 0; at < PAGE; at += 64) _mm512_stream_si512((__m512i *)(to + at), _mm512_loadu_si512(from + at));
}

#elif defined(__VPCLMULQDQ__) && defined(__AVX2__)

const char *peer_check(void) { return "VPCLMULQDQ, 256 bits"; }

static __m256i one_step, one_vector;
static __m128i one_lane;

static __m128i narrow(uint64_t bits)
{
    return _mm_set_epi64x((uint64_t)power_of_x(bits - 32) << 1, (uint64_t)power_of_x(bits + 32) << 1);
}

static void prepare(void)
{
    one_step = _mm256_broadcastsi128_si256(narrow(2048));
    one_vector = _mm256_broadcastsi128_si256(narrow(256));
    one_lane = narrow(128);
}

static inline __m256i fold(__m256i x, __m256i by, __m256i next)
{
    return _mm256_xor_si256(
        _mm256_xor_si256(_mm256_clmulepi64_epi128(x, by, 0x00), _mm256_clmulepi64_epi128(x, by, 0x11)), next);
}

static inline __attribute__((always_inline)) uint32_t crc(const uint8_t *page, uint8_t *copy)
{
    __m256i v[8];
    for (int i = 0; i < 8; i++) {
        v[i] = _mm256_loadu_si256((const __m256i *)(page + 32 * i));
        if (copy) _mm256_storeu_si256((__m256i *)(copy + 32 * i), v[i]);
    }
    v[0] = _mm256_xor_si256(v[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128(-1)));
    for (int at = 256; at < PAGE; at += 256)
        for (int i = 0; i < 8; i++) {
            __m256i next = _mm256_loadu_si256((const __m256i *)(page + at + 32 * i));
            if (copy) _mm256_storeu_si256((__m256i *)(copy + at + 32 * i), next);
            v[i] = fold(v[i], one_step, next);
        }
    for (int i = 1; i < 8; i++) v[0] = fold(v[0], one_vector, v[i]);
    __m128i low = _mm256_castsi256_si128(v[0]), left = _mm256_extracti128_si256(v[0], 1);
    left = _mm_xor_si128(
        _mm_xor_si128(_mm_clmulepi64_si128(low, one_lane, 0x00), _mm_clmulepi64_si128(low, one_lane, 0x11)), left);
    return ~(uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, _mm_cvtsi128_si64(left)), _mm_extract_epi64(left, 1));
}

static void copy_past_the_cache(uint8_t *to, const uint8_t *from)
{
    for (int at = 0; at < PAGE; at += 32) _mm256_stream_si256((__m256i *)(to + at), _mm256_loadu_si256((const __m256i *)(from + at)));
}

#elif defined(__SSE4_2__)

const char *peer_check(void) { return "crc32 instruction, three chains"; }

enum { BLOCK = 1360 };
static uint32_t one_block, two_blocks;

static void prepare(void)
{
    one_block = power_of_x(8 * BLOCK);
    two_blocks = power_of_x(16 * BLOCK);
}

static uint64_t word(const uint8_t *at) { uint64_t w; memcpy(&w, at, 8); return w; }

static inline uint32_t crc(const uint8_t *page, uint8_t *copy)
{
    if (copy) page = memcpy(copy, page, PAGE);
    uint64_t a = ~0u, b = 0, c = 0;
    for (int i = 0; i < BLOCK; i += 8) {
        a = _mm_crc32_u64(a, word(page + i));
        b = _mm_crc32_u64(b, word(page + BLOCK + i));
        c = _mm_crc32_u64(c, word(page + 2 * BLOCK + i));
    }
    uint64_t s = multiply(a, two_blocks) ^ multiply(b, one_block) ^ (uint32_t)c;
    for (int i = 3 * BLOCK; i < PAGE; i += 8) s = _mm_crc32_u64(s, word(page + i));
    return ~(uint32_t)s;
}

static void copy_past_the_cache(uint8_t *to, const uint8_t *from)
{
    for (int at = 0; at < PAGE; at += 16) _mm_stream_si128((__m128i *)(to + at), _mm_loadu_si128((const __m128i *)(from + at)));
}

#else
#error "no crc32 instruction"
#endif

// ---- Sending and receiving ------------------------------------------------------------------------------------------

static int send_all(int socket, const uint8_t *data, size_t bytes)
{
    while (bytes) {
        ssize_t sent = send(socket, data, bytes, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent;
        bytes -= sent;
    }
    return 0;
}

static int receive_all(int socket, uint8_t *data, size_t bytes)
{
    while (bytes) {
        ssize_t received = recv(socket, data, bytes, 0);
        if (received <= 0) return -1;
        data += received;
        bytes -= received;
    }
    return 0;
}

static void *run_sender(void *argument)
{
    struct share *share = argument;
    uint8_t *frame = aligned_alloc(64, 64 * ((HEADER + TABLE + CHUNK + 63) / 64));
    for (size_t at = 0; at < share->bytes && !share->failed; at += CHUNK) {
        if (!share->checked) {
            share->failed = send_all(share->socket, share->memory + at, CHUNK) != 0;
            continue;
        }
        memset(frame, 0, HEADER);
        uint32_t *checks = (uint32_t *)(frame + HEADER);
        for (int i = 0; i < PAGES; i++)
            checks[i] = crc(share->memory + at + i * PAGE, frame + HEADER + TABLE + i * PAGE);
        share->failed = send_all(share->socket, frame, HEADER + TABLE + CHUNK) != 0;
    }
    free(frame);
    return 0;
}

static void *run_receiver(void *argument)
{
    struct share *share = argument;
    uint8_t *frame = aligned_alloc(64, 64 * ((HEADER + TABLE + CHUNK + 63) / 64));
    for (size_t at = 0; at < share->bytes && !share->failed; at += CHUNK) {
        if (!share->checked) {
            share->failed = receive_all(share->socket, share->memory + at, CHUNK) != 0;
            continue;
        }
        share->failed = receive_all(share->socket, frame, HEADER + TABLE + CHUNK) != 0;
        uint32_t *checks = (uint32_t *)(frame + HEADER);
        for (int i = 0; i < PAGES && !share->failed; i++) {
            const uint8_t *page = frame + HEADER + TABLE + i * PAGE;
            if (crc(page, 0) != checks[i]) share->failed = 1;
            else copy_past_the_cache(share->memory + at + i * PAGE, page);
        }
        _mm_sfence();
    }
    if (share->failed) shutdown(share->socket, SHUT_RDWR);
    free(frame);
    return 0;
}

// ---- What the benchmark calls ---------------------------------------------------------------------------------------

void peer_close(struct peer *peer)
{
    for (int i = 0; i < peer->count; i++) {
        close(peer->near[i]);
        close(peer->far[i]);
    }
    free(peer);
}

struct peer *peer_open(int count)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    prepare();
    int failed = count > MAX || bind(listening, (void *)&address, size) || listen(listening, MAX)
        || getsockname(listening, (void *)&address, &size);
    for (int i = 0; i < count && !failed; i++, peer->count++) {
        peer->near[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        failed = connect(peer->near[i], (void *)&address, size) || (peer->far[i] = accept(listening, 0, 0)) < 0;
        setsockopt(peer->near[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(peer->far[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    close(listening);
    if (!failed) return peer;
    peer_close(peer);
    return 0;
}

// Bytes must be a multiple of 256 KiB. 0 when everything has arrived and matched.
int peer_copy(struct peer *peer, uint8_t *source, uint8_t *destination, size_t bytes, int checked)
{
    pthread_t threads[2 * MAX];
    struct share shares[2 * MAX];
    size_t chunks = bytes / CHUNK, first = 0;
    int failed = 0;
    for (int i = 0; i < peer->count; i++) {
        size_t last = chunks * (i + 1) / peer->count;
        shares[2 * i] = (struct share){ peer->near[i], source + first * CHUNK, (last - first) * CHUNK, checked, 0 };
        shares[2 * i + 1] = (struct share){ peer->far[i], destination + first * CHUNK, (last - first) * CHUNK, checked, 0 };
        pthread_create(&threads[2 * i], 0, run_sender, &shares[2 * i]);
        pthread_create(&threads[2 * i + 1], 0, run_receiver, &shares[2 * i + 1]);
        first = last;
    }
    for (int i = 0; i < 2 * peer->count; i++) {
        pthread_join(threads[i], 0);
        failed |= shares[i].failed;
    }
    return failed;
}

// How many of the pages hold only zeros.
int64_t peer_count_zero_pages(const uint8_t *memory, int64_t pages)
{
    int64_t zero = 0;
    for (int64_t i = 0; i < pages; i++, memory += PAGE) {
        int at = 0;
#if defined(__AVX512F__)
        for (; at < PAGE; at += 256) {
            __m512i any = _mm512_or_si512(
                _mm512_or_si512(_mm512_loadu_si512(memory + at), _mm512_loadu_si512(memory + at + 64)),
                _mm512_or_si512(_mm512_loadu_si512(memory + at + 128), _mm512_loadu_si512(memory + at + 192)));
            if (_mm512_test_epi64_mask(any, any)) break;
        }
#elif defined(__AVX2__)
        for (; at < PAGE; at += 128) {
            const __m256i *v = (const __m256i *)(memory + at);
            __m256i any = _mm256_or_si256(
                _mm256_or_si256(_mm256_loadu_si256(v), _mm256_loadu_si256(v + 1)),
                _mm256_or_si256(_mm256_loadu_si256(v + 2), _mm256_loadu_si256(v + 3)));
            if (!_mm256_testz_si256(any, any)) break;
        }
#else
        for (uint64_t w; at < PAGE; at += 8) {
            memcpy(&w, memory + at, 8);
            if (w) break;
        }
#endif
        zero += at == PAGE;
    }
    return zero;
}
