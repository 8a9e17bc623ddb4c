// SPDX-License-Identifier: Apache-2.0
// A gRPC client in C++: grpc_client TARGET COUNT AT_ONCE SIZE STREAMS
// On one channel: COUNT unary calls, AT_ONCE in flight, SIZE bytes each; then one bidirectional stream with STREAMS messages.
// Prints {"by_server": {...}, "codes": {"0": n}, "bad_replies": n, "echoed": n}; codes are gRPC status numbers.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>

struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer reply;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

struct Counts {
    std::map<std::string, int> by_server;
    std::map<int, int> codes;
    int bad_replies = 0;
    int echoed = 0;
};

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

static std::chrono::system_clock::time_point deadline()
{
    return std::chrono::system_clock::now() + std::chrono::seconds(60);
}

static void call_unary(grpc::GenericStub &stub, const std::string &payload, int count, int at_once, Counts &counts)
{
    grpc::CompletionQueue queue;
    int started = 0;
    int ended = 0;

    auto start = [&] {
        auto *call = new Call;
        call->context.set_deadline(deadline());
        call->reader = stub.PrepareUnaryCall(&call->context, "/outrigger.test.Echo/Unary", bytes_of(payload), &queue);
        call->reader->StartCall();
        call->reader->Finish(&call->reply, &call->status, call);
        started++;
    };
    while (started < count && started < at_once) {
        start();
    }
    void *tag;
    bool ok;
    while (ended < count && queue.Next(&tag, &ok)) {
        std::unique_ptr<Call> call(static_cast<Call *>(tag));
        ended++;
        counts.codes[call->status.error_code()]++;
        if (call->status.ok()) {
            counts.by_server[server_of(call->context)]++;
            counts.bad_replies += text_of(call->reply) != payload;
        }
        if (started < count) {
            start();
        }
    }
    queue.Shutdown();
}

static void call_stream(grpc::GenericStub &stub, int messages, Counts &counts)
{
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::Status status;
    void *tag;
    bool ok = false;

    context.set_deadline(deadline());
    auto stream = stub.PrepareCall(&context, "/outrigger.test.Echo/Bidi", &queue);
    stream->StartCall(nullptr);
    queue.Next(&tag, &ok);
    for (int i = 0; ok && i < messages; i++) {
        grpc::ByteBuffer reply;
        std::string text = "message " + std::to_string(i);

        stream->Write(bytes_of(text), nullptr);
        if (!queue.Next(&tag, &ok) || !ok) {
            break;
        }
        stream->Read(&reply, nullptr);
        if (!queue.Next(&tag, &ok) || !ok) {
            break;
        }
        counts.echoed += text_of(reply) == text;
    }
    stream->WritesDone(nullptr);
    queue.Next(&tag, &ok);
    stream->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    counts.codes[status.error_code()]++;
    queue.Shutdown();
}

static void print(const Counts &counts)
{
    const char *comma = "";

    std::cout << "{\"by_server\": {";
    for (const auto &[name, n] : counts.by_server) {
        std::cout << comma << '"' << name << "\": " << n;
        comma = ", ";
    }
    std::cout << "}, \"codes\": {";
    comma = "";
    for (const auto &[code, n] : counts.codes) {
        std::cout << comma << '"' << code << "\": " << n;
        comma = ", ";
    }
    std::cout << "}, \"bad_replies\": " << counts.bad_replies << ", \"echoed\": " << counts.echoed << "}" << std::endl;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        std::cerr << "usage: grpc_client TARGET COUNT AT_ONCE SIZE STREAMS\n";
        return 2;
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    grpc::GenericStub stub(grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments));
    Counts counts;

    call_unary(stub, std::string(static_cast<size_t>(std::atol(argv[4])), 'o'), std::atoi(argv[2]), std::atoi(argv[3]), counts);
    call_stream(stub, std::atoi(argv[5]), counts);
    print(counts);
    return 0;
}
