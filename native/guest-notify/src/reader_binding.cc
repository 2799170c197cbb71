/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "binding.h"

extern "C" {
#include "virtflex/page.h"
}

/* new Reader(path)
 *   .kernel          whether the kernel module publishes it
 *   .fd              to wait for POLLPRI on, where it does
 *   .generation()    one load
 *   .copy()          a consistent copy in a Buffer, its values not yet checked;
 *                    EAGAIN while it is being written
 *   .acknowledge(generation)
 *                    where the kernel module publishes it: whoever has its page
 *                    open counts as a runtime, and this one has nothing to adapt
 *   .close() */
class Reader : public Napi::ObjectWrap<Reader> {
public:
	explicit Reader(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Reader>(info)
	{
		std::string path = info[0].As<Napi::String>();
		int rc = vfrt_map(&mapping_, path.c_str());

		if (rc < 0)
			throw_errno(info.Env(), rc, path.c_str());
	}

	~Reader() override { vfrt_unmap(&mapping_); }

	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Reader",
				   { InstanceAccessor<&Reader::kernel>("kernel"),
				     InstanceAccessor<&Reader::fd>("fd"),
				     InstanceMethod<&Reader::generation>("generation"),
				     InstanceMethod<&Reader::copy>("copy"),
				     InstanceMethod<&Reader::acknowledge>("acknowledge"),
				     InstanceMethod<&Reader::close>("close") });
	}

private:
	void check_open(Napi::Env env) const
	{
		if (!mapping_.page)
			throw_errno(env, -EBADF, "reader");
	}

	Napi::Value kernel(const Napi::CallbackInfo &info)
	{
		return Napi::Boolean::New(info.Env(),
					  mapping_.publisher == VFRT_PUBLISHER_KERNEL);
	}

	Napi::Value fd(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), mapping_.file.fd);
	}

	Napi::Value generation(const Napi::CallbackInfo &info)
	{
		check_open(info.Env());
		return Napi::BigInt::New(info.Env(), vfrt_page_generation(mapping_.page));
	}

	Napi::Value copy(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		auto copy = Napi::Buffer<char>::New(env, VIRTFLEX_PAGE_SIZE);
		int rc;

		check_open(env);
		memset(copy.Data(), 0, copy.Length());
		rc = vfrt_copy(reinterpret_cast<virtflex_topology_page *>(copy.Data()),
			       mapping_.page);
		/* -EINVAL: the caller finds out which value is wrong. */
		if (rc < 0 && rc != -EINVAL)
			throw_errno(env, rc, "copy");
		return copy;
	}

	Napi::Value acknowledge(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		bool lossless;
		std::string text =
			std::to_string(info[0].As<Napi::BigInt>().Uint64Value(&lossless)) + "\n";

		check_open(env);
		if (mapping_.publisher == VFRT_PUBLISHER_KERNEL &&
		    write(mapping_.file.fd, text.data(), text.size()) < 0)
			throw_errno(env, -errno, "acknowledge");
		return env.Undefined();
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		vfrt_unmap(&mapping_);
		return info.Env().Undefined();
	}

	vfrt_mapping mapping_{ nullptr, VFRT_PUBLISHER_FILE, { -1, 0, 0 } };
};

Napi::Function reader_class(Napi::Env env)
{
	return Reader::define(env);
}
