// SPDX-License-Identifier: Apache-2.0
// A gRPC server that keeps record of every call it executes: load_server ADDRESS=ID RECORD [DELAY_MS [LAME_MS [MAX_AGE_MS]]]
//
// Each unary call begins with its 8-byte number, which is appended to the file RECORD before the answer: what is in the file was
// executed, whatever became of the answer, also when the process is killed. Streams echo each message.
// DELAY_MS: time from a unary call to its answer. MAX_AGE_MS: connections are sent away (GOAWAY) at about that age.
// SIGTERM is the drain signal: streams end with OK at their next message; for LAME_MS all goes on as before (the time in which
// clients hear of it); then GOAWAY, calls in flight finish, and the program ends with status 0.
#include <fcntl.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using Milliseconds = std::chrono::milliseconds;

static std::atomic<bool> draining{false};
static int record_fd = -1;
static Milliseconds delay{0};
static std::string server_id;

static void record(const grpc::ByteBuffer &message)
{
    std::vector<grpc::Slice> slices;
    std::string text;

    message.Dump(&slices);
    for (const auto &slice : slices) {
        text.append(reinterpret_cast<const char *>(slice.begin()), slice.size());
    }
    if (text.size() < 8 || write(record_fd, text.data(), 8) != 8) {
        std::cerr << "a call without a number, or no room to record it\n";
        std::abort();
    }
}

class LoadReactor : public grpc::ServerGenericBidiReactor
{
  public:
    explicit LoadReactor(grpc::GenericCallbackServerContext *context)
    {
        const std::string &path = context->method();
        const std::string unary = "/Unary";

        is_unary_ = path.size() >= unary.size() && path.compare(path.size() - unary.size(), unary.size(), unary) == 0;
        context->AddInitialMetadata("server-id", server_id);
        StartRead(&message_);
    }

    void OnReadDone(bool ok) override
    {
        if (!ok) {
            Finish(is_unary_ ? grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no message") : grpc::Status::OK);
        } else if (!is_unary_) {
            StartWrite(&message_);
        } else {
            record(message_);
            answer_later();
        }
    }

    void OnWriteDone(bool ok) override
    {
        if (!ok) {
            Finish(grpc::Status(grpc::StatusCode::UNKNOWN, "the client is gone"));
        } else if (draining) {
            Finish(grpc::Status::OK);
        } else {
            StartRead(&message_);
        }
    }

    void OnDone() override
    {
        delete this;
    }

  private:
    void answer_later()
    {
        if (delay.count() == 0) {
            StartWriteAndFinish(&message_, {}, grpc::Status::OK);
            return;
        }
        alarm_.Set(std::chrono::system_clock::now() + delay,
                   [this](bool) { StartWriteAndFinish(&message_, {}, grpc::Status::OK); });
    }

    grpc::ByteBuffer message_;
    grpc::Alarm alarm_;
    bool is_unary_;
};

class LoadService : public grpc::CallbackGenericService
{
  public:
    grpc::ServerGenericBidiReactor *CreateReactor(grpc::GenericCallbackServerContext *context) override
    {
        return new LoadReactor(context);
    }
};

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::cerr << "usage: load_server ADDRESS=ID RECORD [DELAY_MS [LAME_MS [MAX_AGE_MS]]]\n";
        return 2;
    }
    sigset_t drain;
    sigemptyset(&drain);
    sigaddset(&drain, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &drain, nullptr); // before gRPC's threads, so that only sigwait below gets it

    std::string word = argv[1];
    size_t cut = word.rfind('=');
    server_id = word.substr(cut + 1);
    record_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    delay = Milliseconds(argc > 3 ? std::atoi(argv[3]) : 0);
    Milliseconds lame(argc > 4 ? std::atoi(argv[4]) : 0);

    LoadService service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(word.substr(0, cut), grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(&service);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    if (argc > 5) {
        builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, std::atoi(argv[5]));
    }
    auto server = builder.BuildAndStart();
    if (!server || port == 0 || record_fd < 0) {
        std::cerr << "cannot listen on " << word << " or record in " << argv[2] << "\n";
        return 1;
    }
    std::cout << "{\"ready\": true}" << std::endl;

    int number;
    sigwait(&drain, &number);
    draining = true;
    std::this_thread::sleep_for(lame);
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return 0;
}
