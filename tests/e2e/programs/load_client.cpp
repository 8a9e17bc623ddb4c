// SPDX-License-Identifier: Apache-2.0
// A gRPC client that makes calls at a steady rate and knows what became of each: load_client TARGET RECORD RATE STREAMS CHANNELS
//
// RATE unary calls a second (open loop; at most MAX_IN_FLIGHT at once) and STREAMS long streams with a message every 100 ms, which are
// opened anew when they end, over CHANNELS connections. Each unary call carries a number of its own in its first 8 bytes. The file RECORD gets,
// for each call that has ended, its number and its status as two native 64-bit integers.
// Standard input takes lines, each answered by one JSON object: "counts" what has happened so far, "stop" the same after everything ended.
#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using Clock = std::chrono::system_clock;
using Milliseconds = std::chrono::milliseconds;

static const int64_t MAX_IN_FLIGHT = 2000;
static const Milliseconds STREAM_PAUSE{100};
static const std::chrono::seconds HANG_LIMIT{60}; // no call may take longer: its deadline shows as DEADLINE_EXCEEDED
static const size_t MAX_MESSAGES = 10;

// What has happened; everything under its lock.
struct Counts {
    std::mutex lock;
    std::condition_variable changed;
    int64_t sent = 0;
    int64_t in_flight = 0;
    int64_t bad_replies = 0;
    int64_t streams_opened = 0;
    int64_t streams_open = 0;
    int64_t echoed = 0;
    std::map<int, int64_t> codes;
    std::map<int, int64_t> stream_codes;
    std::map<std::string, int64_t> by_server;
    std::set<std::string> messages;
};

static Counts counts;
static std::atomic<bool> stopping{false};
static FILE *record_file;
static std::vector<std::unique_ptr<grpc::GenericStub>> stubs;

static grpc::ByteBuffer bytes_of(const std::string &text)
{
    grpc::Slice slice(text);
    return grpc::ByteBuffer(&slice, 1);
}

static std::string text_of(const grpc::ByteBuffer &bytes)
{
    std::vector<grpc::Slice> slices;
    std::string text;

    bytes.Dump(&slices);
    for (const auto &slice : slices) {
        text.append(reinterpret_cast<const char *>(slice.begin()), slice.size());
    }
    return text;
}

static std::string server_of(const grpc::ClientContext &context)
{
    const auto &metadata = context.GetServerInitialMetadata();
    auto found = metadata.find("server-id");
    return found == metadata.end() ? "?" : std::string(found->second.data(), found->second.size());
}

static void keep_message(const grpc::Status &status)
{
    if (!status.ok() && counts.messages.size() < MAX_MESSAGES) {
        counts.messages.insert(std::to_string(status.error_code()) + " " + status.error_message());
    }
}

// ---- unary calls ----

struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer reply;
    std::string text;
    int64_t number;
};

static void on_call_end(Call *call, const grpc::Status &status)
{
    bool is_bad = status.ok() && text_of(call->reply) != call->text;
    std::string server = status.ok() ? server_of(call->context) : "";
    int64_t row[2] = {call->number, status.error_code()};
    std::lock_guard<std::mutex> guard(counts.lock);

    fwrite(row, sizeof(row), 1, record_file);
    counts.codes[status.error_code()]++;
    counts.bad_replies += is_bad;
    if (status.ok()) {
        counts.by_server[server]++;
    }
    keep_message(status);
    counts.in_flight--;
    counts.changed.notify_all();
    delete call;
}

static void start_call(int64_t number)
{
    auto *call = new Call;
    auto &stub = stubs[static_cast<size_t>(number) % stubs.size()];

    call->number = number;
    call->text.assign(reinterpret_cast<const char *>(&number), sizeof(number));
    call->text += std::string(100, 'x');
    call->request = bytes_of(call->text);
    call->context.set_deadline(Clock::now() + HANG_LIMIT);
    stub->UnaryCall(&call->context, "/outrigger.test.Echo/Unary", grpc::StubOptions(), &call->request, &call->reply,
                    [call](const grpc::Status &status) { on_call_end(call, status); });
}

static void pace(int64_t rate)
{
    auto begin = Clock::now();
    int64_t skipped = 0; // what a slow machine could not send in time is not made up for in bursts

    while (!stopping) {
        std::this_thread::sleep_for(Milliseconds(1));
        int64_t passed = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin).count();
        std::unique_lock<std::mutex> guard(counts.lock);
        int64_t due = passed * rate / 1000 - counts.sent - skipped;
        int64_t most = std::min<int64_t>(MAX_IN_FLIGHT - counts.in_flight, rate / 20 + 1);
        int64_t number = counts.sent;
        skipped += std::max<int64_t>(0, due - most);
        due = std::max<int64_t>(0, std::min(due, most));
        counts.sent += due;
        counts.in_flight += due;
        guard.unlock();
        while (due-- > 0) {
            start_call(number++);
        }
    }
}

// ---- streams ----

static void open_stream(size_t index, bool at_once);

class Stream : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>
{
  public:
    explicit Stream(size_t index) : index_(index)
    {
    }

    void start_after(Milliseconds pause)
    {
        alarm_.Set(Clock::now() + pause, [this](bool) { start(); });
    }

    void OnReadDone(bool ok) override
    {
        if (!ok) {
            RemoveHold();
            return;
        }
        {
            std::lock_guard<std::mutex> guard(counts.lock);
            counts.echoed++;
            counts.bad_replies += text_of(reply_) != text_;
        }
        alarm_.Set(Clock::now() + STREAM_PAUSE, [this](bool) {
            if (stopping) {
                StartWritesDone();
                StartRead(&reply_);
            } else {
                say();
            }
        });
    }

    void OnDone(const grpc::Status &status) override
    {
        {
            std::lock_guard<std::mutex> guard(counts.lock);
            counts.stream_codes[status.error_code()]++;
            keep_message(status);
            counts.streams_open--;
            counts.changed.notify_all();
        }
        if (!stopping) {
            open_stream(index_, status.ok());
        }
        delete this;
    }

  private:
    void start()
    {
        // No deadline: a long stream. (The end of the test would show one that hangs.)
        stubs[index_ % stubs.size()]->PrepareBidiStreamingCall(&context_, "/outrigger.test.Echo/Bidi", grpc::StubOptions(), this);
        AddHold(); // for the pauses, in which nothing is pending
        say();
        StartCall();
    }

    void say()
    {
        text_ = "stream " + std::to_string(index_) + " message " + std::to_string(count_++);
        message_ = bytes_of(text_);
        StartWrite(&message_);
        StartRead(&reply_);
    }

    size_t index_;
    int count_ = 0;
    std::string text_;
    grpc::ClientContext context_;
    grpc::ByteBuffer message_;
    grpc::ByteBuffer reply_;
    grpc::Alarm alarm_;
};

static void open_stream(size_t index, bool at_once)
{
    {
        std::lock_guard<std::mutex> guard(counts.lock);
        counts.streams_opened++;
        counts.streams_open++;
    }
    (new Stream(index))->start_after(at_once ? Milliseconds(0) : STREAM_PAUSE);
}

// ---- answers ----

template <class Map> static void print_map(const char *name, const Map &map)
{
    const char *comma = "";

    std::cout << ", \"" << name << "\": {";
    for (const auto &[key, n] : map) {
        std::cout << comma << '"' << key << "\": " << n;
        comma = ", ";
    }
    std::cout << "}";
}

static void print_counts()
{
    const char *comma = "";

    std::cout << "{\"sent\": " << counts.sent << ", \"in_flight\": " << counts.in_flight
              << ", \"bad_replies\": " << counts.bad_replies << ", \"streams_opened\": " << counts.streams_opened
              << ", \"streams_open\": " << counts.streams_open << ", \"echoed\": " << counts.echoed;
    print_map("codes", counts.codes);
    print_map("stream_codes", counts.stream_codes);
    print_map("by_server", counts.by_server);
    std::cout << ", \"messages\": [";
    for (const auto &message : counts.messages) {
        std::string plain;
        for (char c : message) {
            plain += c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ' ? '?' : c;
        }
        std::cout << comma << '"' << plain << '"';
        comma = ", ";
    }
    std::cout << "]}" << std::endl;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        std::cerr << "usage: load_client TARGET RECORD RATE STREAMS CHANNELS\n";
        return 2;
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    record_file = fopen(argv[2], "wb");
    for (int i = std::atoi(argv[5]); record_file && i > 0; i--) {
        stubs.push_back(std::make_unique<grpc::GenericStub>(
            grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments)));
    }
    for (int i = 0; i < std::atoi(argv[4]); i++) {
        open_stream(static_cast<size_t>(i), true);
    }
    std::thread pacer(pace, std::atoll(argv[3]));
    std::cout << "{\"ready\": true}" << std::endl;

    std::string line;
    while (std::getline(std::cin, line) && line.find("stop") == std::string::npos) {
        std::lock_guard<std::mutex> guard(counts.lock);
        print_counts();
    }
    stopping = true;
    pacer.join();
    std::unique_lock<std::mutex> guard(counts.lock);
    counts.changed.wait(guard, [] { return counts.in_flight == 0 && counts.streams_open == 0; });
    fclose(record_file);
    print_counts();
    return 0;
}
