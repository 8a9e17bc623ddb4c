// SPDX-License-Identifier: Apache-2.0
// A gRPC server in C++: grpc_server ADDRESS=ID... Every method of every service echoes each message as it comes;
// "server-id" in the initial and trailing metadata names the server. End of input on stdin ends it gracefully.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

class EchoReactor : public grpc::ServerGenericBidiReactor {
public:
    EchoReactor(grpc::GenericCallbackServerContext *context, const std::string &name)
    {
        context->AddInitialMetadata("server-id", name);
        context->AddTrailingMetadata("server-id", name);
        StartRead(&message_);
    }

    void OnReadDone(bool ok) override
    {
        if (ok) {
            StartWrite(&message_);
        } else {
            Finish(grpc::Status::OK);
        }
    }

    void OnWriteDone(bool ok) override
    {
        if (ok) {
            StartRead(&message_);
        } else {
            Finish(grpc::Status(grpc::StatusCode::UNKNOWN, "the client is gone"));
        }
    }

    void OnDone() override { delete this; }

private:
    grpc::ByteBuffer message_;
};

class EchoService : public grpc::CallbackGenericService {
public:
    explicit EchoService(std::string name) : name_(std::move(name)) {}

    grpc::ServerGenericBidiReactor *CreateReactor(grpc::GenericCallbackServerContext *context) override
    {
        return new EchoReactor(context, name_);
    }

private:
    std::string name_;
};

struct Running {
    std::unique_ptr<EchoService> service;
    std::unique_ptr<grpc::Server> server;
};

int main(int argc, char **argv)
{
    std::vector<Running> all;

    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        size_t cut = word.rfind('=');
        auto service = std::make_unique<EchoService>(word.substr(cut + 1));
        grpc::ServerBuilder builder;
        int port = 0;

        builder.AddListeningPort(word.substr(0, cut), grpc::InsecureServerCredentials(), &port);
        builder.RegisterCallbackGenericService(service.get());
        builder.SetMaxReceiveMessageSize(-1);
        builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
        auto server = builder.BuildAndStart();
        if (!server || port == 0) {
            std::cerr << "cannot listen on " << word << "\n";
            return 1;
        }
        all.push_back({std::move(service), std::move(server)});
    }
    std::cout << "{\"ready\": true}" << std::endl;

    std::string line;
    while (std::getline(std::cin, line)) {
    }
    for (auto &running : all) {
        running.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    }
    return 0;
}
